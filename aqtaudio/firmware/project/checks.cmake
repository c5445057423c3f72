# What CMakeLists.txt is given, or one line that says what is wrong with it.
# Sets: emulated, board_sources (of a folder), downloads.

set(emulated mps3-an547 mps2-an386)
# How TensorFlow Lite Micro's Makefile calls their processors: part of the library's folder.
set(architecture_mps3-an547 cortex-m55)
set(architecture_mps2-an386 cortex-m4+fp)

if(DEFINED CONFIGURED_BOARD AND NOT CONFIGURED_BOARD STREQUAL BOARD)
  message(FATAL_ERROR "this build folder is for BOARD \"${CONFIGURED_BOARD}\", and keeps its "
      "compiler and flags: take another folder (-B) for \"${BOARD}\"")
endif()

if(BOARD IN_LIST emulated AND NOT CMAKE_TOOLCHAIN_FILE)
  message(FATAL_ERROR "BOARD \"${BOARD}\" needs a cross compiler: add "
      "-DCMAKE_TOOLCHAIN_FILE=boards/arm-none-eabi.cmake")
endif()
if(NOT BOARD STREQUAL "host" AND NOT BOARD IN_LIST emulated)
  get_filename_component(folder "${BOARD}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  file(GLOB board_sources "${folder}/*.c" "${folder}/*.cc" "${folder}/*.cpp" "${folder}/*.S")
  if(NOT board_sources)
    message(FATAL_ERROR "BOARD \"${BOARD}\": neither host, mps3-an547 or mps2-an386 nor a folder "
        "with C or C++ files (${folder})")
  endif()
endif()

if(NOT EXISTS "${TFLM}/tensorflow/lite/micro/micro_interpreter.h")
  message(FATAL_ERROR "TFLM \"${TFLM}\" is no TensorFlow Lite Micro tree: give it with -DTFLM=TREE")
endif()
if(NOT EXISTS "${TFLM_LIBRARY}" OR IS_DIRECTORY "${TFLM_LIBRARY}")
  message(FATAL_ERROR "TFLM_LIBRARY \"${TFLM_LIBRARY}\" is no file: give "
      "libtensorflow-microlite.a with -DTFLM_LIBRARY=LIBRARY (README.md says where it is)")
endif()
# The folder that its Makefile puts a library in says what it is for.
if(TFLM_LIBRARY MATCHES "/gen/([^/]+)/lib/[^/]+$")
  set(built_for "${CMAKE_MATCH_1}")
  string(FIND "${built_for}" "_${architecture_${BOARD}}_" place)
  if((BOARD IN_LIST emulated AND place EQUAL -1)
     OR (BOARD STREQUAL "host" AND built_for MATCHES "^cortex_m_"))
    message(FATAL_ERROR "TFLM_LIBRARY is for another processor than BOARD \"${BOARD}\": "
        "${built_for}")
  endif()
endif()

# Not in the cache, so that another TFLM has its own.
set(downloads "${TFLM}/tensorflow/lite/micro/tools/make/downloads")
if(TFLM_DOWNLOADS)
  set(downloads "${TFLM_DOWNLOADS}")
endif()
if(NOT IS_DIRECTORY "${downloads}/flatbuffers/include")
  message(FATAL_ERROR "flatbuffers/include is not in ${downloads}: TensorFlow Lite Micro's own "
      "Makefile puts it there; or say where it is with -DTFLM_DOWNLOADS=FOLDER")
endif()
