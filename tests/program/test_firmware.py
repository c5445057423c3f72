"""The firmware bundle: what a C++ compiler reads is what was written."""

import re
import shutil
import subprocess
from pathlib import Path

import chains
import exports
import numpy as np
import programs
import pytest
import reference
import tflm_stubs
from initial import calibrated, initial
from stream_cases import BANDS, STREAMS

from aqtaudio.errors import BadInput
from aqtaudio.firmware import bundle as firmware
from aqtaudio.firmware.arena import Arena
from aqtaudio.firmware.boards import BOARDS
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import W8A8
from aqtaudio.vocabulary.recording import record

pytestmark = pytest.mark.optimized("slow")

COMPILER = shutil.which("g++") or shutil.which("c++")
ARENA = Arena(24_016, 20_000)
CLIPS = 3
BLOCK_FRAMES = 4

# From its micro_mutable_op_resolver.h, for every operator that we write.
METHODS = {
    "ADD": "AddAdd",
    "ASSIGN_VARIABLE": "AddAssignVariable",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CALL_ONCE": "AddCallOnce",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "ELU": "AddElu",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "L2_NORMALIZATION": "AddL2Normalization",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MUL": "AddMul",
    "PAD": "AddPad",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "READ_VARIABLE": "AddReadVariable",
    "RELU": "AddRelu",
    "RESHAPE": "AddReshape",
    "RSQRT": "AddRsqrt",
    "SOFTMAX": "AddSoftmax",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "VAR_HANDLE": "AddVarHandle",
}

DUMP = """
    #include <cstdint>
    #include <cstdio>
    #include "model_data.h"
    #include "model_golden.h"
    #include "model_settings.h"
    int main() {
      using namespace aqtaudio;
      if (reinterpret_cast<std::uintptr_t>(kModel) % 16) return 1;
      std::fwrite(kModel, 1, kModelBytes, stdout);
      std::fwrite(kGoldenInputs, 1, sizeof kGoldenInputs, stdout);
      std::fwrite(kGoldenOutputs, 1, sizeof kGoldenOutputs, stdout);
      const float scales[] = {kInputScale, kOutputScale};
      const int others[] = {kInputZeroPoint, kOutputZeroPoint, int(kArenaBytes)};
      std::fwrite(scales, 1, sizeof scales, stdout);
      std::fwrite(others, 1, sizeof others, stdout);
    }
"""


@pytest.fixture(scope="module")
def golden() -> tuple[np.ndarray, np.ndarray]:
    codes = programs.random_codes((CLIPS, 49, 10, 1), seed=0)
    return codes, reference.run(exports.program("int8"), codes)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, golden: tuple) -> Path:
    folder = tmp_path_factory.mktemp("export") / "firmware"
    program, model = exports.program("int8"), exports.model("int8")
    written = firmware.write_bundle(folder, program, model, ARENA, *golden)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(written) == sorted(files)
    return folder


@pytest.fixture(scope="module")
def stream() -> Program:
    model = STREAMS["strided"].model
    x = np.random.default_rng(0).normal(size=(4, 12, BANDS)).astype(np.float32)
    params = initial(model, x)["params"]
    ranges = calibrated(model, params, [x], W8A8)
    shape = (BLOCK_FRAMES, BANDS)
    return record(model, {"params": params, "ranges": ranges}, shape, W8A8, stream=True)


@pytest.fixture(scope="module")
def stream_bundle(tmp_path_factory: pytest.TempPathFactory, stream: Program) -> Path:
    folder = tmp_path_factory.mktemp("stream") / "firmware"
    codes = programs.random_codes((CLIPS, BLOCK_FRAMES, 1, BANDS), seed=0)
    outputs = Executor(stream)(codes)
    firmware.write_bundle(folder, stream, to_tflite(stream), ARENA, codes, outputs, 40.0)
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def compiled(
    folder: Path,
    bundle: Path,
    sources: list[Path],
    *flags: str,
    states: int = 0,
    right: bool = False,
) -> Path:
    """A program of these sources, the model and the stubs."""
    tflm_stubs.write(folder, states, right)
    program = folder / "program"
    subprocess.run(
        [COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", *flags, "-I", bundle]
        + ["-I", bundle / "boards", "-I", folder, *sources, bundle / "model_data.cc"]
        + ["-o", program],
        check=True,
        capture_output=True,
    )
    return program


def self_test(
    bundle: Path, states: int, folder: Path, *flags: str, right: bool = False
) -> tuple[int, str]:
    """Status and text of the bundle's self-test with the stubs."""
    sources = [bundle / "main.cc", bundle / "boards/host.cc"]
    flags = ("-DTF_LITE_STATIC_MEMORY", *flags)
    program = compiled(folder, bundle, sources, *flags, states=states, right=right)
    ran = subprocess.run([program], capture_output=True)
    return ran.returncode, ran.stdout.decode()


needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


@needs_compiler
def test_the_compiler_reads_back_what_was_written(bundle: Path, golden: tuple, tmp_path: Path):
    (tmp_path / "dump.cc").write_text(DUMP)
    program = compiled(tmp_path, bundle, [tmp_path / "dump.cc"])
    content = subprocess.run([program], check=True, capture_output=True).stdout
    edges = exports.program("int8").edges
    source, target = edges["input"], edges["logits"]
    numbers = [source.zero_point, target.zero_point, 24_016]
    expected = exports.model("int8") + golden[0].tobytes() + golden[1].tobytes()
    expected += np.float32([source.scale, target.scale]).tobytes() + np.int32(numbers).tobytes()
    assert content == expected


@needs_compiler
def test_the_self_test_finds_a_wrong_code(bundle: Path, tmp_path: Path):
    status, text = self_test(bundle, 0, tmp_path)
    assert status == 1 and "mismatches: 1 \n" in text and text.endswith("failed: codes differ\n")
    assert "arena_bytes: 24016 \n" in text and "arena_used_bytes: 100 \n" in text
    assert f"outputs: {CLIPS * 8} \n" in text and "arena_least_bytes" not in text


@needs_compiler
def test_the_self_test_passes(bundle: Path, tmp_path: Path):
    status, text = self_test(bundle, 0, tmp_path, right=True)
    assert status == 0 and text.endswith("mismatches: 0 \npassed\n")


@needs_compiler
def test_the_self_test_finds_the_least_arena(bundle: Path, tmp_path: Path):
    status, text = self_test(
        bundle, 0, tmp_path, "-DLEAST=120", "-DAQTAUDIO_ARENA_LIMIT_BYTES=30000", right=True
    )
    assert status == 0 and "arena_least_bytes: 128 \n" in text


@needs_compiler
def test_the_self_test_says_that_a_model_does_not_load(bundle: Path, tmp_path: Path):
    status, text = self_test(bundle, 0, tmp_path, "-DLEAST=24017")
    assert status == 2 and text.endswith("failed: the model does not load in this arena\n")


@needs_compiler
def test_a_stream_is_run_twice(stream: Program, stream_bundle: Path, tmp_path: Path):
    """One wrong code in each of the two rounds."""
    assert len(stream.states) == 2
    status, text = self_test(stream_bundle, 2, tmp_path)
    assert status == 1 and "mismatches: 2 \n" in text


@needs_compiler
def test_other_layouts_of_tensors_do_not_compile(bundle: Path, tmp_path: Path):
    with pytest.raises(subprocess.CalledProcessError) as error:
        compiled(tmp_path, bundle, [bundle / "main.cc", bundle / "boards/host.cc"])
    assert b"TF_LITE_STATIC_MEMORY" in error.value.stderr


def test_the_readme_of_a_stream_says_how_much_a_call_takes(stream_bundle: Path):
    for name in ("README.md", "model_settings.h"):
        assert (
            "takes the next 4 feature frames (40 ms of audio)" in (stream_bundle / name).read_text()
        )


def test_the_readme_has_every_file_board_and_size(bundle: Path):
    text = (bundle / "README.md").read_text()
    for file in bundle.iterdir():
        named = f"`{file.name}`" if file.is_file() else f"`{file.name}/`"
        assert named in text or f"`{file.stem}.h`, `.cc`" in text or file.name == "README.md"
    for board in BOARDS:
        row = rf"\| `{board.name}` \| .* \| `\w+_{re.escape(board.architecture)}` \|"
        assert re.search(row, text)
    assert f"It is {ARENA.narrow_bytes} on a 32-bit processor and\n{ARENA.wide_bytes} on" in text
    for limit in (2 * ARENA.narrow_bytes, 2 * ARENA.wide_bytes):
        assert f"-DARENA_LIMIT_BYTES={limit}`" in text


@needs_compiler
def test_the_readme_shows_what_a_self_test_says(bundle: Path, tmp_path: Path):
    _, said = self_test(bundle, 0, tmp_path, right=True)
    shown = re.findall(r"^    (\w+)(?:: .*)?$", (bundle / "README.md").read_text(), re.MULTILINE)
    assert shown == re.findall(r"^\w+", said, re.MULTILINE)


def test_the_resolver_of_a_stream_has_the_operators_of_all_subgraphs(stream_bundle: Path):
    methods = re.findall(r"resolver\.(\w+)\(\)", (stream_bundle / "model_operators.h").read_text())
    assert {METHODS[n] for n in METHODS if "VARIABLE" in n} < set(methods)
    assert {"AddCallOnce", "AddVarHandle"} < set(methods)
    assert len(methods) == len(set(methods))


def test_the_methods_of_the_resolver_are_those_of_tflite_micro(golden: tuple, tmp_path: Path):
    model = chains.chain(list(METHODS), ["INT8"] * (len(METHODS) + 1))
    firmware.write_bundle(tmp_path / "all", exports.program("int8"), model, ARENA, *golden)
    text = (tmp_path / "all/model_operators.h").read_text()
    assert re.findall(r"resolver\.(\w+)\(\)", text) == list(METHODS.values())


def test_the_resolver_lists_the_operators_of_the_file(bundle: Path):
    text = (bundle / "model_operators.h").read_text()
    assert "MicroMutableOpResolver<4>" in text
    assert re.findall(r"resolver\.(\w+)\(\)", text) == [
        "AddConv2D",
        "AddDepthwiseConv2D",
        "AddAveragePool2D",
        "AddFullyConnected",
    ]


def test_writing_again_replaces_the_files(bundle: Path, golden: tuple):
    before = contents(bundle)
    program, model = exports.program("int8"), exports.model("int8")
    firmware.write_bundle(bundle, program, model, ARENA, *golden)
    assert contents(bundle) == before


@pytest.mark.parametrize("which", [0, 1])
def test_golden_codes_of_another_shape_are_refused(golden: tuple, tmp_path: Path, which: int):
    codes = list(golden)
    codes[which] = codes[which][..., :-1] if which else codes[which].astype(np.int16)
    with pytest.raises(BadInput, match="golden"):
        firmware.write_bundle(
            tmp_path / "firmware", exports.program("int8"), exports.model("int8"), ARENA, *codes
        )
    assert not (tmp_path / "firmware").exists()
