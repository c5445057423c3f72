"""The CMake project of a bundle: what it is given wrong is said, and can be put right.

Against headers in the place of TFLite Micro's.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tflm_stubs

from aqtaudio.firmware.bundle import project_files

TOOLCHAIN = "boards/arm-none-eabi.cmake"
COMMITTED = Path(__file__).parents[2] / "results/kws_ds_cnn/bundle/firmware"
pytestmark = pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("c++") and shutil.which("make")),
    reason="no CMake or no C++ compiler",
)
needs_board_compiler = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-g++"), reason="no compiler for boards"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "firmware"
    (folder / "boards").mkdir(parents=True)
    for name, text in project_files().items():
        (folder / name).write_text(text)
    (folder / "model_data.cc").write_text("")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """With a library for the host, and one for a Cortex-M55."""
    folder = tflm_stubs.tree(tmp_path / "tree")
    (folder / tflm_stubs.BOARD_LIBRARY).parent.mkdir(parents=True)
    shutil.copy(folder / tflm_stubs.HOST_LIBRARY, folder / tflm_stubs.BOARD_LIBRARY)
    return folder


def configure(project: Path, **settings: str | Path) -> tuple[int, str]:
    """Status, and what it says on one line, in one build folder beside the project."""
    flags = [f"-D{name}={value}" for name, value in settings.items()]
    command = ["cmake", "-S", ".", "-B", "../build", "-G", "Unix Makefiles", *flags]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True)
    return ran.returncode, " ".join(ran.stderr.split())


def of(tree: Path, library: str = tflm_stubs.HOST_LIBRARY) -> dict[str, str | Path]:
    """The settings that name a tree and its library."""
    return {"TFLM": tree, "TFLM_LIBRARY": tree / library}


def test_after_a_line_the_same_folder_can_be_configured(project, tree, tmp_path):
    status, said = configure(project)
    assert status == 1 and "give it with -DTFLM=TREE" in said
    status, said = configure(project, TFLM=tree)
    assert status == 1 and "-DTFLM_LIBRARY=LIBRARY" in said
    assert configure(project, **of(tree)) == (0, "")
    assert included(tmp_path / "build") == tree
    other = Path(shutil.copytree(tree, tmp_path / "other"))
    assert configure(project, **of(other)) == (0, "")
    assert included(tmp_path / "build") == other
    status, said = configure(project, BOARD="mps3-an547", CMAKE_TOOLCHAIN_FILE=TOOLCHAIN)
    assert status == 1 and 'this build folder is for BOARD "host"' in said


def included(build: Path) -> Path:
    """The tree whose downloads are include folders."""
    flags = (build / "CMakeFiles/model.dir/flags.make").read_text()
    (found,) = re.findall(rf"-isystem (\S+)/{tflm_stubs.DOWNLOADS}/flatbuffers/include", flags)
    return Path(found)


def test_a_tree_without_downloads(project, tree, tmp_path):
    downloads = tree / tflm_stubs.DOWNLOADS
    downloads.rename(tmp_path / "elsewhere")
    status, said = configure(project, **of(tree))
    assert status == 1 and f"flatbuffers/include is not in {downloads}" in said
    assert configure(project, **of(tree), TFLM_DOWNLOADS=tmp_path / "elsewhere") == (0, "")


def test_boards_that_are_none(project, tree):
    status, said = configure(project, **of(tree), BOARD="mps3-an574")
    assert status == 1 and 'BOARD "mps3-an574": neither host, mps3-an547 or mps2-an386 nor' in said


def test_a_library_for_another_processor(project, tree):
    """As its folder says."""
    of_board = of(tree, tflm_stubs.BOARD_LIBRARY)
    for settings in (
        of_board,
        of_board | {"BOARD": "mps2-an386", "CMAKE_TOOLCHAIN_FILE": TOOLCHAIN},
        of(tree) | {"BOARD": "mps3-an547", "CMAKE_TOOLCHAIN_FILE": TOOLCHAIN},
    ):
        status, said = configure(project, **settings)
        assert status == 1 and "TFLM_LIBRARY is for another processor than BOARD" in said


def test_a_toolchain_that_was_forgotten(project, tree):
    status, said = configure(project, **of(tree, tflm_stubs.BOARD_LIBRARY), BOARD="mps3-an547")
    assert status == 1 and f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}" in said


@needs_board_compiler
def test_a_board_of_ones_own(tree, tmp_path):
    """As the README says: its processor and linker flags are given, and `self_test` is built."""
    firmware, board = COMMITTED, tmp_path / "board"
    board.mkdir()
    shutil.copy(firmware / "boards/emulated.c", board)
    scripts = firmware / "boards"
    settings = of(tree, tflm_stubs.BOARD_LIBRARY) | {
        "BOARD": board,
        "CMAKE_TOOLCHAIN_FILE": TOOLCHAIN,
        "CMAKE_EXE_LINKER_FLAGS": f"-nostartfiles -L{scripts} -T{scripts}/mps3-an547.ld "
        "--specs=nosys.specs -Wl,--gc-sections",
    }
    project = Path(shutil.copytree(firmware, tmp_path / "firmware"))
    status, said = configure(project, **settings)
    assert status == 1 and "add -DCPU_FLAGS=" in said
    cpu = "-mcpu=cortex-m55 -mfpu=auto -mfloat-abi=hard"
    assert configure(project, **settings, CPU_FLAGS=cpu)[0] == 0
    build = ["cmake", "--build", tmp_path / "build", "--target"]
    subprocess.run([*build, "self_test"], check=True, capture_output=True)
    ran = subprocess.run([*build, "help"], check=True, capture_output=True, text=True)
    assert "... self_test" in ran.stdout and "... run" not in ran.stdout
