# GCC for Cortex-M, for the two emulated boards: -DCMAKE_TOOLCHAIN_FILE=boards/arm-none-eabi.cmake
# -DBOARD=mps3-an547 (Cortex-M55) or mps2-an386 (Cortex-M4).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(TOOLCHAIN "arm-none-eabi-" CACHE STRING "Prefix of the compiler's programs")
set(CMAKE_C_COMPILER ${TOOLCHAIN}gcc)
set(CMAKE_CXX_COMPILER ${TOOLCHAIN}g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BOARD TOOLCHAIN)

if(BOARD STREQUAL "mps2-an386")
  set(cpu "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16")
else()
  set(cpu "-mcpu=cortex-m55 -mfpu=auto")
endif()
set(common "${cpu} -mthumb -mfloat-abi=hard -funsigned-char -ffunction-sections -fdata-sections")
set(CMAKE_C_FLAGS_INIT "${common}")
set(CMAKE_CXX_FLAGS_INIT "${common} -fno-rtti -fno-exceptions -fno-threadsafe-statics")
