"""A program survives its file; a damaged file is one clear line."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import programs
import pytest
import reference
from cases import RECIPES, SMALL
from trained import quantized, untrained

from aqtaudio.errors import BadInput
from aqtaudio.program.program import Program, load, save


@pytest.fixture
def program() -> Program:
    return programs.ds_cnn(shape=(13, 6, 1), width=8, blocks=1, classes=4, rank=3)


@pytest.fixture
def saved(program: Program, tmp_path: Path) -> Path:
    path = tmp_path / "program.npz"
    save(program, path)
    return path


def assert_equal(found: Program, expected: Program):
    assert found.inputs == expected.inputs and found.outputs == expected.outputs
    assert dict(found.edges) == dict(expected.edges)
    assert list(found.edges) == list(expected.edges)
    for a, b in zip(found.operations, expected.operations, strict=True):
        assert dataclasses.replace(a, constants={}) == dataclasses.replace(b, constants={})
        assert set(a.constants) == set(b.constants)
        for name, array in b.constants.items():
            assert a.constants[name].dtype == array.dtype
            np.testing.assert_array_equal(a.constants[name], array)


def test_round_trip(program: Program, saved: Path):
    loaded = load(saved)
    assert_equal(loaded, program)
    codes = programs.random_codes((4, 13, 6, 1))
    np.testing.assert_array_equal(reference.run(loaded, codes), reference.run(program, codes))


@pytest.mark.parametrize(
    "made",
    [untrained, pytest.param(lambda: quantized("low_rank").program, marks=pytest.mark.slow)],
    ids=("whole", "thin"),
)
def test_recorded_programs_round_trip(made: Callable[[], Program], tmp_path: Path):
    program = made()
    save(program, tmp_path / "program.npz")
    assert_equal(load(tmp_path / "program.npz"), program)


def test_a_recorded_program_says_what_it_is():
    program, recipe = untrained(), RECIPES["w8a8"]
    assert program.inputs == ("input",) and program.outputs == ("logits",)
    assert program.edges["input"].shape == (*SMALL.features, 1)
    assert [op.name for op in program.operations] == list(program.edges)[1:]
    for op in program.operations:
        dtypes = {name: array.dtype for name, array in op.constants.items()}
        if dtypes:
            assert op.attributes["weight_bits"] == recipe.rule(op.name).weight_bits
            assert dtypes == {
                "weights": np.int8,
                "weight_scale": np.float32,
                "bias": np.int32,
                "mantissa": np.int32,
                "exponent": np.int32,
            }
    for edge in program.edges.values():
        assert float(np.float32(edge.scale)) == edge.scale > 0


def test_saving_replaces_and_leaves_no_fragments(program: Program, saved: Path):
    other = programs.ds_cnn(seed=5, shape=(13, 6, 1), width=4, blocks=1, classes=4)
    save(other, saved)
    assert_equal(load(saved), other)
    assert {file.name for file in saved.parent.iterdir()} == {"program.npz", "program.json"}


def test_the_json_is_readable(program: Program, saved: Path):
    shown = json.loads(saved.with_suffix(".json").read_text())
    assert [op["name"] for op in shown["operations"]] == [op.name for op in program.operations]
    first = shown["operations"][0]
    assert first["kind"] == "conv2d" and first["attributes"]["strides"] == [2, 2]
    assert first["constants"]["weights"] == {"dtype": "int8", "shape": [10, 4, 1, 8]}
    assert {"name", "shape", "scale", "zero_point", "bits"} == set(shown["edges"][0])


def test_equal_arrays_are_written_once(program: Program, tmp_path: Path):
    """The frames of a recurrent layer have the same weights."""
    first, *rest = program.operations
    again = dataclasses.replace(first, name="again", output="again")
    edges = dict(program.edges)
    edges["again"] = dataclasses.replace(edges[first.output], name="again")
    twice = dataclasses.replace(program, edges=edges, operations=(first, again, *rest))
    save(program, tmp_path / "once.npz")
    save(twice, tmp_path / "twice.npz")
    assert_equal(load(tmp_path / "twice.npz"), twice)
    kept = [set(np.load(tmp_path / f"{name}.npz").files) for name in ("once", "twice")]
    assert len(kept[0]) == len(kept[1])


def rewritten(path: Path, change) -> None:
    """Saves the archive again with its structure changed by `change`."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    structure = json.loads(arrays["structure"].tobytes().decode())
    change(structure, arrays)
    arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), np.uint8)
    np.savez_compressed(path, **arrays)


def no_format(structure, arrays):
    del structure["format"]


def other_format(structure, arrays):
    structure["format"] = 99


def no_array(structure, arrays):
    del arrays["0/weights"]


def no_edges(structure, arrays):
    del structure["edges"]


def scrambled_shape(structure, arrays):
    structure["edges"][0]["shape"] = 7


def list_instead(structure, arrays):
    structure["operations"] = [[1, 2]]


@pytest.mark.parametrize(
    "change", [no_format, other_format, no_array, no_edges, scrambled_shape, list_instead]
)
def test_foreign_content(saved: Path, change):
    rewritten(saved, change)
    refuse(saved)


def refuse(path: Path):
    with pytest.raises(BadInput) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    damaged = bytearray(data)
    for place in range(100, len(damaged) - 200, 97):
        damaged[place] ^= 0x55
    return bytes(damaged)


def empty(data: bytes) -> bytes:
    return b""


def text(data: bytes) -> bytes:
    return b"not a program\n"


def other_archive(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return buffer.getvalue()


def one_array(data: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


def pickled(data: bytes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, structure=np.array([{"format": 1}], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage", [truncated, flipped, empty, text, other_archive, one_array, pickled]
)
def test_damaged_files(saved: Path, damage):
    saved.write_bytes(damage(saved.read_bytes()))
    refuse(saved)


def test_every_single_damaged_byte_is_noticed_or_harmless(program: Program, saved: Path):
    """Whatever byte is hit, the answer is the program or BadInput."""
    data = saved.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(data), 150, replace=False):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(bytes(damaged))
        try:
            assert_equal(load(saved), program)
        except BadInput as error:
            assert "\n" not in str(error)


def test_missing(tmp_path: Path):
    refuse(tmp_path / "program.npz")
