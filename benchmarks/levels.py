"""How far features move when the same recordings are louder or quieter, by front end.

    python benchmarks/levels.py --data DIR [--clips 64]

Words of the split "val" come in pairs, one after the other; what is compared are the features of
the second one, after the front end has heard the first. Both are brought to a level and rounded to
16 bits. Prints a Markdown table: the mean distance from the features at -25 dBFS, in standard
deviations of all features at that level.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data import audio, crops, manifest
from aqtaudio.data.conditions import LEVELS_DBFS, NOMINAL_DBFS, at_level
from aqtaudio.data.labels import is_word_label
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.spectral import LogMel

TITLE = "how far features move with the level of recordings"
RATE_HZ = 16_000
FRONT_ENDS = {
    "log-mel": LogMel(),
    "log-mel, running level": LogMel(level="running"),
    "micro": MicroFrontend(),
    "micro, no gain control": MicroFrontend(pcan=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=64)
    options = parser.parse_args()
    pairs = pairs_of(options.data, options.clips)
    levels = [level for level in LEVELS_DBFS if level != NOMINAL_DBFS]
    print(f"{len(pairs)} words; dBFS: RMS of a pair\n")
    print(f"| | {' | '.join(f'{level:g} dBFS' for level in levels)} |")
    print(f"|---|{'---:|' * len(levels)}")
    for name, frontend in FRONT_ENDS.items():
        moved = distances(frontend, pairs, levels)
        print(f"| {name} | {' | '.join(f'{distance:.2f}' for distance in moved)} |", flush=True)


def pairs_of(data: Path, count: int) -> np.ndarray:
    """int16 [count, 2 seconds]."""
    rows = [row for row in manifest.read(data) if row.split == "val" and is_word_label(row.label)]
    rows = sorted(rows, key=lambda row: crops.hash_order(row.path))[:count]
    clips = [audio.load_int16(row.file, RATE_HZ) for row in rows]
    clips = np.stack([crops.pad(clip, RATE_HZ)[:RATE_HZ] for clip in clips])
    return np.concatenate([np.roll(clips, 1, 0), clips], 1)


def distances(frontend: Frontend, pairs: np.ndarray, levels: list[float]) -> list[float]:
    """Of the second halves' features, at each level."""
    run = jax.jit(frontend.__call__)
    frames = frontend.frames(RATE_HZ)

    def at(level: float) -> np.ndarray:
        heard = jnp.asarray(at_level(pairs, level), jnp.float32) / 32768
        return np.asarray(run(heard))[:, -frames:]

    usual = at(NOMINAL_DBFS)
    return [float(np.mean(np.abs(at(level) - usual)) / usual.std()) for level in levels]


if __name__ == "__main__":
    main()
