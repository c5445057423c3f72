"""Drawing of figures; those that were drawn of the same facts before are copied."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from aqtaudio.files import write

MOST_KEPT = 1000
"""Figures; of more the oldest go."""


@dataclasses.dataclass(frozen=True)
class Pen:
    """Writes figures as PNG, the same bytes each time.

    Attributes:
      kept: a folder of what was drawn before, which may be deleted; None: all is drawn anew.
    """

    kept: Path | None = None

    def draw(self, path: Path, figure: Callable[..., Figure], *facts: object) -> None:
        """Writes `figure(*facts)` to `path`; all that it shows follows from its facts."""
        if self.kept is None:
            _save(figure(*facts), path)
            return
        told = repr((figure.__module__, figure.__qualname__, facts, _drawn_by()))
        known = self.kept / f"{hashlib.sha256(told.encode()).hexdigest()}.png"
        if known.is_file():
            write(path, known.read_bytes())
            return
        _save(figure(*facts), path)
        self.kept.mkdir(parents=True, exist_ok=True)
        write(known, path.read_bytes())
        for old in sorted(self.kept.iterdir(), key=_age)[MOST_KEPT:]:
            old.unlink(missing_ok=True)


ANEW = Pen()


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": ""})


def _age(file: Path) -> float:
    return -file.stat().st_mtime if file.exists() else 0.0


@functools.cache
def _drawn_by() -> str:
    """Tells the code of figures and the library apart from others."""
    digest = hashlib.sha256(matplotlib.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
