"""Programs run on GPUs in the integers that they have anywhere: what they are lowered to."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from lowered import largest_double, like, lowered, products, require_of_gpus, rounded

from aqtaudio.program import kernels
from aqtaudio.program import program as programs
from aqtaudio.program.execute import Executor
from aqtaudio.program.kernels.call import Grid
from aqtaudio.program.kernels.rescaling import in_float32
from aqtaudio.program.program import Program

pytestmark = [pytest.mark.optimized("slow"), pytest.mark.usefixtures("on_gpu")]

RESULTS = Path(__file__).parents[2] / "results"
ARTIFACTS = {
    "DS-CNN": "kws_ds_cnn/artifacts/a8b2b20cd48a",
    "DS-CNN, 4 bits": "kws_ds_cnn/artifacts/1b8b60dca348",
    "GRU, stream": "kws_models/artifacts/69af9a6faf5f",
}
# Not the MHAtt-RNN: its program has every operation once per frame, minutes of tracing.
LONGER = {
    "MatchboxNet, stream": "kws_models/artifacts/0c1a516b2f15",
    "BC-ResNet, stream": "kws_models/artifacts/39bb2d0a37d1",
    "SVDF, stream": "kws_models/artifacts/9b128437ef83",
    "Conformer, stream": "kws_models/artifacts/a697c03edaec",
    "denoiser": "denoise/artifacts/39ef3fe1d388",
    "bandwidth extension": "bandwidth/artifacts/978f1cbc7ea0",
    "embedding": "embeddings/artifacts/2efcef84274d",
    "head behind an encoder": "wake_words_on_embedding/artifacts/de7a224e3ac8",
}
OF_CLIPS = ("DS-CNN", "DS-CNN, 4 bits")
NAMES = [*ARTIFACTS, *(pytest.param(name, marks=pytest.mark.slow) for name in LONGER)]
EACH = pytest.mark.parametrize("name", NAMES)
EACH_STREAM = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LONGER else ())
        for name in ARTIFACTS | LONGER
        if name not in OF_CLIPS
    ],
)
STREAMS, BLOCKS = 3, 2


def program_of(name: str) -> Program:
    return programs.load(RESULTS / (ARTIFACTS | LONGER)[name] / "program.npz")


def matrices(program: Program) -> int:
    """Products of matrices that an int8 program has at least."""
    counted = ("conv2d", "dense", "batch_matmul")
    return sum(op.kind in counted for op in program.operations)


@EACH
def test_a_gpu_runs_programs_in_whole_numbers(name):
    program = program_of(name)
    given = program.edges[program.inputs[0]]
    executor = Executor(program)
    operations = lowered(executor.edges, like((STREAMS, *given.shape), given.dtype))
    require_of_gpus(operations)
    assert largest_double(operations) == 0
    dots = products(operations, "i8")
    assert len(dots) >= matrices(program) > 0
    assert all(op.results[0].dtype == "i32" for op in dots)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_float32_carriers_are_not_rounded(name):
    program = program_of(name)
    given = program.edges[program.inputs[0]]
    executor = Executor(program, integer=False)
    operations = lowered(executor.edges, like((STREAMS, *given.shape), given.dtype))
    assert len(products(operations, "f32")) >= matrices(program)
    assert not rounded(operations)


@EACH_STREAM
def test_a_gpu_runs_streams_block_by_block(name):
    program = program_of(name)
    assert program.states
    given = program.edges[program.inputs[0]]
    executor = Executor(program)
    blocks = like((STREAMS, BLOCKS, *given.shape))
    operations = lowered(executor.traced, blocks, executor.state(STREAMS))
    require_of_gpus(operations)
    assert largest_double(operations) <= 1  # the reciprocal of the input's scale
    assert [op.name for op in operations].count("while") == 1


def test_answers_to_blocks_are_written_in_place():
    program = program_of("GRU, stream")
    given = program.edges[program.inputs[0]]
    executor = Executor(program)
    codes = like((STREAMS, BLOCKS, *given.shape), given.dtype)
    operations = lowered(
        executor._loop, executor._constants, codes, np.int32(BLOCKS), executor.state(STREAMS)
    )
    require_of_gpus(operations)
    assert not [op for op in operations if op.name == "scatter"]


def test_quotients_of_scales_are_not_left_to_float32():
    # XLA divides float32 on a GPU with an error of up to two units of the last place.
    scale = np.float32(0.1)
    for function in (
        lambda x: in_float32(lambda a, b: a * b / b, x, scale),
        lambda x: kernels.quantize(jnp.ones(5), Grid(x, 3, 8)),
    ):
        divided = [op for op in lowered(function, scale) if op.name == "divide"]
        assert [op.results[0].dtype for op in divided] == ["f64"]


def test_they_are_those_of_float32():
    rng = np.random.default_rng(0)
    a, b, y = (np.exp(rng.uniform(-12, 3, 10_000)).astype(np.float32) for _ in range(3))
    np.testing.assert_array_equal(in_float32(lambda a, b, y: a * b / y, a, b, y), a * b / y)
