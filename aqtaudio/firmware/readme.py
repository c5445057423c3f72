"""The README of a firmware bundle: what a firmware engineer needs, and nothing beside it."""

import string
from importlib import resources

import numpy as np

from aqtaudio.firmware.arena import Arena
from aqtaudio.firmware.boards import BOARDS, EXACT_SINCE, Board


def text(operators: list[str], inputs: np.ndarray, states: int, block: str, arena: Arena) -> str:
    """The whole README.

    Args:
      operators: of the file.
      inputs: golden codes [N, ...].
      states: resource variables of a stream; 0 of clips.
      block: what a call of a stream takes, in words; empty of clips.
      arena: that the bundle states.
    """
    limits = np.iinfo(inputs.dtype)
    return _template("bundle_readme.md").substitute(
        takes=f"the next {block}" if block else "the features of one clip",
        least=limits.min,
        greatest=limits.max,
        operators=", ".join(operators),
        calls=f"{len(inputs)} {'consecutive blocks' if block else 'clips'}",
        stream=_template("bundle_readme_stream.md").substitute(states=states) if block else "",
        exact_since=EXACT_SINCE,
        boards="\n".join(map(_board, BOARDS)),
        narrow_bytes=arena.narrow_bytes,
        wide_bytes=arena.wide_bytes,
        narrow_limit_bytes=2 * arena.narrow_bytes,
        wide_limit_bytes=2 * arena.wide_bytes,
    )


def _board(board: Board) -> str:
    target = "cortex_m_generic" if board.emulated else "linux"
    return f"| `{board.name}` | {board.processor} | `{target}_{board.architecture}` |"


def _template(name: str) -> string.Template:
    return string.Template((resources.files("aqtaudio.firmware") / name).read_text())
