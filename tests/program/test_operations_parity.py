"""Every operation of the vocabulary, in every precision, against the runtimes' integers.

`docs/operations.md` is what this file finds; `python tests/program/test_operations_parity.py`
writes it again. The tests compare what they find with what it says.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).parents[1])]

from board_kernels import TREE  # noqa: E402
from operation_cases import CASES  # noqa: E402
from operation_programs import TABLED, differences, program  # noqa: E402
from shape_cases import PRECISIONS, SHAPES, WHAT, wrong_channels  # noqa: E402

from aqtaudio.errors import BadInput  # noqa: E402
from aqtaudio.program.child import MicroError  # noqa: E402

TABLE = Path(__file__).parents[2] / "docs" / "operations.md"
COUNT = 300
HEADINGS = {
    "w8a8": "int8",
    "w4a8": "4-bit weights",
    "w8a16": "16x8",
}
COLUMNS = [(precision, runtime) for precision in HEADINGS for runtime in TABLED]
RUNTIMES = [name for name in TABLED if name != "cmsis-nn" or TREE]
"""What can be run here: CMSIS-NN where AQTAUDIO_TFLM names a tree."""
NONE = "-"
QUICK = (
    "conv_causal",
    "depthwise",
    "concat",
    "average_pool",
    "max_pool",
    "sum",
    "sub_of_units",
    "slice",
    "sigmoid",
    "l2_normalize",
    "band_norm",
    "relu6",
    "leaky_relu",
    "prelu",
    "hard_swish",
    "elu",
    "attention_causal",
)
"""What runs every time: every kind at least once (a test below), mostly in TFLite Micro alone, as
tests of kernels ask LiteRT about each kind. The others are slow in sum."""

HEADER = f"""# Operations, precisions, targets

Written by `python tests/program/test_operations_parity.py`; the tests compare. Each cell is a small
model around the operation, recorded, exported, and run on {COUNT} inputs: in TFLite Micro's
reference kernels ("micro"), in those of CMSIS-NN (on a host, without vector instructions;
docs/boards.md has boards), in LiteRT. "exact" means that no output code differs from the program's,
executed in JAX in that target's arithmetic. "{NONE}": it has no weights, so 4 bits change
nothing.

Models are recorded with `recipe.kernels` "everywhere": where a library of kernels is wrong, the
program has another form. What that is for, the second table shows.

"""
SHAPE_HEADER = f"""
## Shapes

{WHAT}

"""


def cell(name: str, precision: str, runtime: str) -> str:
    """What a runtime makes of a case in a precision."""
    try:
        found = differences(name, precision, runtime, COUNT)
    except BadInput as error:
        return f"no: {str(error).split(': ', 1)[-1]}"
    except MicroError as error:
        return f"no: {error.reason.splitlines()[0]}"
    different = np.count_nonzero(found)
    return "exact" if not different else f"{different} of {found.size} codes differ"


def applies(name: str, precision: str) -> bool:
    return precision != "w4a8" or "w4a8" in CASES[name].precisions


def table() -> str:
    heads = [f"{HEADINGS[precision]}, {runtime}" for precision, runtime in COLUMNS]
    lines = [["operation", "kinds", *heads], ["---"] * (len(COLUMNS) + 2)]
    for name in CASES:
        kinds = dict.fromkeys(op.kind for op in program(name, "w8a8").operations)
        cells = [
            cell(name, precision, runtime) if applies(name, precision) else NONE
            for precision, runtime in COLUMNS
        ]
        lines.append([name, ", ".join(kinds), *cells])
        print(lines[-1], flush=True)
    return HEADER + in_lines(lines) + SHAPE_HEADER + shape_table()


def in_lines(lines: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shape_table() -> str:
    heads = [f"{HEADINGS[precision]}, {runtime}" for precision, runtime in COLUMNS]
    lines = [["shape", *heads], ["---"] * (len(COLUMNS) + 1)]
    for name in SHAPES:
        lines.append([name, *(shape_cell(name, *column) for column in COLUMNS)])
        print(lines[-1], flush=True)
    return in_lines(lines)


def shape_cell(name: str, precision: str, runtime: str) -> str:
    """What a runtime makes of a shape where only the reference kernels are asked for, and whether
    it is right in the form for all kernels.
    """
    wrong = wrong_channels(name, precision, runtime, "reference")
    if not wrong:
        return "exact"
    mended = wrong_channels(name, precision, runtime, "everywhere")
    return f"{wrong}; then {'exact' if not mended else mended}"


def written() -> dict[tuple[str, str, str], str]:
    """The cells of the document."""
    found = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("| ") and line.split(" | ")[0].strip("| ") in CASES:
            name, _, *cells = (text.strip() for text in line.strip("|").split(" | "))
            found |= {(name, *column): text for column, text in zip(COLUMNS, cells, strict=True)}
    return found


def kinds_written() -> dict[str, list[str]]:
    """The second column of the document."""
    rows = [line.strip("| ").split(" | ") for line in TABLE.read_text().splitlines()]
    return {row[0]: row[1].split(", ") for row in rows if row[0] in CASES}


@pytest.mark.parametrize(
    "runtime", [pytest.param(x, marks=pytest.mark.slow if x == "litert" else ()) for x in RUNTIMES]
)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES],
)
def test_int8_is_what_the_table_says(name: str, runtime: str):
    assert cell(name, "w8a8", runtime) == written()[name, "w8a8", runtime]


def test_litert_is_what_the_table_says_too():
    assert cell(QUICK[0], "w8a8", "litert") == written()[QUICK[0], "w8a8", "litert"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["w4a8", "w8a16"])
@pytest.mark.parametrize("name", CASES)
def test_the_other_precisions_are_what_the_table_says(name: str, precision: str):
    for runtime in RUNTIMES:
        found = cell(name, precision, runtime) if applies(name, precision) else NONE
        assert found == written()[name, precision, runtime], runtime


def shapes_written() -> dict[tuple[str, str, str], str]:
    """The cells of the second table."""
    found = {}
    for line in TABLE.read_text().splitlines():
        name, *cells = (text.strip() for text in line.strip("|").split(" | "))
        if name in SHAPES:
            found |= {(name, *column): text for column, text in zip(COLUMNS, cells, strict=True)}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_what_the_table_says(name: str, precision: str):
    for runtime in RUNTIMES:
        expected = shapes_written()[name, precision, runtime]
        assert shape_cell(name, precision, runtime) == expected, runtime


def test_in_the_form_for_all_kernels_every_shape_is_exact():
    assert {cell.rsplit("; then ")[-1] for cell in shapes_written().values()} == {"exact"}


def test_every_kind_runs_every_time():
    kinds = kinds_written()
    assert set().union(*(kinds[name] for name in QUICK)) == set().union(*kinds.values())


def test_the_table_has_every_operation_and_micro_runs_all_of_them():
    found = written()
    assert {name for name, *_ in found} == set(CASES)
    assert all(
        found[name, "w8a8", runtime] == "exact"
        for name in CASES
        for runtime in ("micro", "cmsis-nn")
    )


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table())
