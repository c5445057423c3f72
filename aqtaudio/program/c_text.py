"""Numbers as C and C++ text."""

import math
from collections.abc import Iterable

import numpy as np

from aqtaudio.program.program import Edge

_PER_LINE = 16


def literal(value: float) -> str:
    """The shortest decimal that reads back as this float32."""
    return f"{np.format_float_scientific(np.float32(value), unique=True)}f"


def texts(values: np.ndarray) -> list[str]:
    """Values of any shape, one after the other, as C writes them."""
    write = literal if np.issubdtype(values.dtype, np.floating) else str
    return [write(value) for value in np.ravel(values)]


def lines(values: Iterable[str], end: str = "") -> str:
    """Values with commas, a few per line; `end`: of every line but the last, behind its comma."""
    items = list(values)
    rows = (", ".join(items[i : i + _PER_LINE]) for i in range(0, len(items), _PER_LINE))
    return f",{end}\n".join(f"    {row}" for row in rows)


def array(kind: str, name: str, values: np.ndarray) -> str:
    """The definition of an array of values [N]; `kind`: its type with what comes before it."""
    return f"{kind} {name}[{len(values)}] = {{\n{lines(texts(values))}\n}};"


def table(kind: str, name: str, rows: np.ndarray) -> str:
    """The definition of a table of rows [N, ...], flattened each."""
    rows = rows.reshape(len(rows), -1)
    body = ",\n".join(f"{{\n{lines(texts(row))}\n}}" for row in rows)
    return f"{kind} {name}[{len(rows)}][{rows.shape[1]}] = {{\n{body}\n}};"


def macro(name: str, values: np.ndarray) -> str:
    """An initialiser of an array or a table, as a macro, which takes no memory."""
    return f"#define {name} {_initialiser(values)}"


def _initialiser(values: np.ndarray) -> str:
    if values.ndim == 1:
        body = lines(texts(values), end=" \\")
    else:
        body = ", \\\n".join(map(_initialiser, values))
    return "{ \\\n" + body + " \\\n}"


def edge_macros(name: str, edge: Edge) -> str:
    """Size, type and grid of what goes into a network or comes out of it, as macros."""
    grid = edge.grid
    return f"""\
#define {name}_VALUES {math.prod(edge.shape)}
#define {name}_TYPE {edge.dtype}_t
#define {name}_SCALE {literal(edge.scale)}
#define {name}_ZERO_POINT ({edge.zero_point})
#define {name}_LOWEST ({int(grid.lowest)})
#define {name}_HIGHEST ({int(grid.highest)})"""
