"""Damaged files: whatever they have become, a verdict or one line; no crash of ours, no hang."""

import collections
import time
from collections.abc import Callable, Iterator

import chains
import exports
import numpy as np
import pytest
from one_operator import Tensor, one_operator

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer
from aqtaudio.program.check import Report, check
from aqtaudio.program.child import Child, MicroError

pytestmark = pytest.mark.own_children

TIMEOUT_S = 5.0
STRANGE = (0, 1, 2, 3, 127, 255, 1 << 15, (1 << 31) - 1, 1 << 31, (1 << 32) - 4, (1 << 32) - 1)

Random = np.random.Generator


def hand_made() -> list[bytes]:
    """Small files, each with another kernel behind it."""
    row, weights = [1, 8], np.ones([4, 8])
    dense = [(row, "int8", 0.1, 0), ([4, 8], "int8", 0.02, 0, weights)]
    dense.append(([4], "int32", 0.002, 0, np.zeros(4)))
    widths = Tensor([2, 2], "int32", None, 0, np.int32([[0, 0], [1, 2]]))
    return [
        chains.chain(["RELU", "LOGISTIC", "ABS"], ["INT8"] * 4),
        chains.chain(["QUANTIZE", "SOFTMAX", "DEQUANTIZE"], ["FLOAT32", "INT8", "INT8", "FLOAT32"]),
        one_operator("FULLY_CONNECTED", dense, ([1, 4], "int8", 0.05, 0), {}),
        one_operator("ADD", [(row, "int8", 0.1), (row, "int8", 0.2)], (row, "int8", 0.3), {}),
        one_operator("PAD", [(row, "int16", 0.1), widths], ([1, 11], "int16", 0.1), {}),
    ]


def flipped(model: bytes, random: Random) -> bytes:
    damaged = bytearray(model)
    for place in random.integers(0, len(model), random.integers(1, 4)):
        damaged[place] ^= 1 << random.integers(8)
    return bytes(damaged)


def overwritten(model: bytes, random: Random) -> bytes:
    damaged = bytearray(model)
    for place in random.integers(0, len(model), random.integers(1, 4)):
        damaged[place] = random.integers(256)
    return bytes(damaged)


def truncated(model: bytes, random: Random) -> bytes:
    return model[: random.integers(len(model))]


def inserted(model: bytes, random: Random) -> bytes:
    place = random.integers(len(model))
    return model[:place] + random.bytes(random.integers(1, 17)) + model[place:]


def misdirected(model: bytes, random: Random) -> bytes:
    """An aligned word, as offsets, lengths and sizes are, of another value."""
    words = np.frombuffer(model[: len(model) // 4 * 4], "<u4").copy()
    place = random.integers(len(words))
    near = int(words[place]) + int(random.integers(-64, 65))
    words[place] = np.uint32((near if random.random() < 0.5 else random.choice(STRANGE)) % 2**32)
    return words.tobytes() + model[len(words) * 4 :]


def spliced(model: bytes, random: Random) -> bytes:
    """A stretch of the file over another."""
    size = random.integers(1, 65)
    start, place = random.integers(0, len(model), 2)
    piece = model[start : start + size]
    return model[:place] + piece + model[place + len(piece) :]


def rewritten(model: bytes, random: Random) -> bytes:
    """Well-formed, with a field of a tensor or an operator that means something else."""
    parsed = flatbuffer.read(model)
    graph = parsed.subgraphs[0]
    tensor = graph.tensors[random.integers(len(graph.tensors))]
    operator = graph.operators[random.integers(len(graph.operators))]
    size = int(random.choice([-1, 0, 1, 3, 512, 1 << 20, (1 << 31) - 1]))
    index = int(random.integers(-2, len(graph.tensors) + 2))
    match random.integers(8):
        case 0:
            tensor.shape = np.full(random.integers(0, 7), size, np.int32)
        case 1:
            tensor.type = int(random.integers(0, 20))
        case 2 if tensor.quantization is not None:
            scale = random.choice([0, -1, 1e-30, 1e30, np.nan, np.inf])
            tensor.quantization.scale = np.full(random.integers(0, 3), scale, np.float32)
        case 3 if tensor.quantization is not None:
            tensor.quantization.zeroPoint = np.full(random.integers(0, 3), size, np.int64)
        case 4:
            operator.inputs = np.int32([index, *operator.inputs[random.integers(2) :]])
        case 5:
            operator.outputs = np.int32([index] * random.integers(0, 3))
        case 6:
            tensor.buffer = int(random.integers(0, len(parsed.buffers) + 2))
        case _:
            parsed.operatorCodes[0].builtinCode = int(random.integers(0, 210))
    return flatbuffer.write(parsed)


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    flipped,
    overwritten,
    truncated,
    inserted,
    misdirected,
    spliced,
    rewritten,
)


def mutants(models: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    for number in range(count):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        yield mutate(models[random.integers(len(models))], random)


class Worker:
    """A child for one file after the other, and the next one, started while this one lives."""

    def __init__(self):
        self._children = [Child(TIMEOUT_S), Child(TIMEOUT_S)]

    def fate(self, model: bytes) -> str:
        """What becomes of a file that is inspected, loaded and invoked twice."""
        requests = (
            ("refused when read", {"do": "inspect", "edges": []}, model),
            ("refused when loaded", {"do": "load", "runtime": "micro", "resolver": ""}, model),
        )
        for refused, request, payload in requests:
            try:
                answer, _ = self._children[0].ask(request, payload)
            except MicroError as error:
                return self._after(error, refused)
        return self._invoke(answer)

    def _invoke(self, answer: dict) -> str:
        sizes = [(d["shape"], np.dtype(d["dtype"]).itemsize) for d in answer["inputs"]]
        payload = bytes(sum(int(np.prod(shape)) * size for shape, size in sizes))
        try:
            self._children[0].ask({"do": "invoke", "batch": 1}, payload)
        except MicroError as error:
            return self._after(error, "refused when invoked")
        return "ran"

    def _after(self, error: MicroError, refused: str) -> str:
        if "crashed" in error.reason or "ended" in error.reason:
            fate = "crashed the child"
        elif "no answer" in error.reason:
            fate = "timed out"
        else:
            return refused
        self._children.pop(0).close()
        self._children.append(Child(TIMEOUT_S))
        return fate

    def close(self) -> None:
        for child in self._children:
            child.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def survey(worker: Worker, models: list[bytes], count: int, seed: int) -> collections.Counter[str]:
    fates: collections.Counter[str] = collections.Counter()
    for mutant in mutants(models, count, seed):
        start = time.monotonic()
        fates[worker.fate(mutant)] += 1
        assert time.monotonic() - start < 4 * TIMEOUT_S
    print(dict(fates))
    assert fates.total() == count
    assert fates["refused when read"] > count / 20
    assert fates["refused when loaded"] > 0
    assert fates["ran"] > count / 20
    for model in models:
        assert worker.fate(model) == "ran"
    return fates


def test_200_damaged_files(worker: Worker):
    survey(worker, hand_made(), 200, seed=0)


@pytest.mark.slow
def test_10000_damaged_files(worker: Worker):
    models = [*hand_made(), exports.model("int8"), exports.model("int4")]
    survey(worker, models, 10_000, seed=1)


def judge(models: list[bytes], count: int, seed: int) -> set[str]:
    verdicts = set()
    for mutant in mutants(models, count, seed):
        try:
            report = check(mutant, timeout_s=TIMEOUT_S)
        except BadInput as error:
            assert "\n" not in str(error)
            verdicts.add("bad input")
        else:
            assert isinstance(report, Report)
            assert report.micro_compatible == (not report.reasons)
            assert all(line.isprintable() for line in report.reasons)
            verdicts.add("fit" if report.micro_compatible else "unfit")
    return verdicts


def test_check_of_damaged_files():
    assert judge(hand_made(), 14, seed=2) >= {"bad input", "unfit"}


@pytest.mark.slow
def test_check_of_100_damaged_files():
    assert judge(hand_made(), 100, seed=3) == {"bad input", "unfit", "fit"}
