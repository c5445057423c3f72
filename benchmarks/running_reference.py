"""What a published embedding loses when its front end hears a stream.

    python benchmarks/running_reference.py sea64.h5.gz --data DIR [--data DIR]

The published student of 64 values hears each window of a second below the loudest value of that
window, which is known at its end only. Here its windows are cut from recordings whose levels are
told below the loudest band of late instead (`RunningDecibels`), or below a fixed level. Windows of
validation recordings, a second apart; the first second of each is left out, as nothing was heard
before it. Quieter: the same recordings 20 dB down, against the same answers. Prints a Markdown
table.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from measuring import table

from aqtaudio.data import audio, manifest
from aqtaudio.frontends.decibels import RunningDecibels, WindowDecibels
from aqtaudio.models import published
from aqtaudio.models.l3_net import STUDENT_WIDTHS, L3Net
from aqtaudio.tasks.embedding.metrics import agreement
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

TITLE = "what a published embedding loses when its front end hears a stream"
STUDENT, WINDOWED = L3Net(STUDENT_WIDTHS[3]), WindowDecibels()
RATE_HZ = WINDOWED.sample_rate_hz
DECAYS_DB_PER_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""In decibels of the front end, each two of the usual ones."""
FIXED_DB = (0.0, -5.0, -10.0)
QUIETER = 0.1
AT_ONCE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("weights", help="sea64.h5.gz")
    parser.add_argument("--data", type=Path, action="append", required=True)
    options = parser.parse_args()
    variables = published.read(STUDENT, options.weights)
    sounds = recordings(options.data)
    own = embedded(variables, windowed(sounds))
    fronts = {
        f"loudest of late, falling {decay:g} dB a second": RunningDecibels(decay_db_per_s=decay)
        for decay in DECAYS_DB_PER_S
    } | {f"fixed, {level:g} dB": RunningDecibels(fixed_db=level) for level in FIXED_DB}
    print(f"{len(own)} windows of {len(sounds)} recordings\n")
    rows = []
    for name, front in fronts.items():
        row = {"reference": name}
        for title, gain in (("", 1.0), (", 20 dB quieter", QUIETER)):
            maps = streamed(front, [gain * sound for sound in sounds])
            found = agreement(embedded(variables, maps), own)
            row |= {f"{key}{title}": f"{found[key]:.4f}" for key in ("cosine", "explained")}
        rows.append(row)
    print(table(rows))


def recordings(folders: list[Path]) -> list[np.ndarray]:
    """float32 [N] each, of split val, three seconds long at least."""
    rows = [row for row in manifest.read_all(folders) if row.split == "val"]
    sounds = [audio.load_int16(row.file, RATE_HZ) for row in rows]
    return [sound.astype(np.float32) / 32768 for sound in sounds if len(sound) >= 3 * RATE_HZ]


def starts(sound: np.ndarray) -> range:
    """Where windows begin: after a second, each with half of a frame behind it."""
    before = WINDOWED.padding_samples(RATE_HZ)[0]
    return range(RATE_HZ, len(sound) - RATE_HZ - before, RATE_HZ)


def windowed(sounds: list[np.ndarray]) -> np.ndarray:
    """Features [n, T, F] of their windows as the network was trained on."""
    windows = [sound[at : at + RATE_HZ] for sound in sounds for at in starts(sound)]
    return np.asarray(WINDOWED(jnp.asarray(np.stack(windows))))


def streamed(front: RunningDecibels, sounds: list[np.ndarray]) -> np.ndarray:
    """Features [n, T, F] of the same places of a stream of each recording."""
    before, frames = WINDOWED.padding_samples(RATE_HZ)[0], WINDOWED.frames(RATE_HZ)
    longest, maps = max(map(len, sounds)), []
    heard = jax.jit(front.__call__)
    for sound in sounds:
        # Silence before it, so that frames begin where a window's do; one length, one compilation.
        padded = np.pad(sound, (before, longest - len(sound)))
        whole = np.asarray(heard(jnp.asarray(padded[None])))[0]
        first = [at // front.hop_samples for at in starts(sound)]
        maps += [whole[frame : frame + frames] for frame in first]
    return np.stack(maps)


def embedded(variables: dict, maps: np.ndarray) -> np.ndarray:
    """[n, D] of features [n, T, F]."""
    padded = np.pad(maps, ((0, -len(maps) % AT_ONCE), (0, 0), (0, 0)))
    parts = [
        np.asarray(_answers(variables, jnp.asarray(padded[first : first + AT_ONCE])))
        for first in range(0, len(padded), AT_ONCE)
    ]
    return np.concatenate(parts)[: len(maps)]


@jax.jit
def _answers(variables: dict, features: jax.Array) -> jax.Array:
    return STUDENT.apply(variables, start(features, Floating())).real()


if __name__ == "__main__":
    main()
