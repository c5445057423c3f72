"""Features of training clips that are made once, a few epochs of them, and come again.

Behind a frozen encoder nearly all of a step is the encoder's: so a step costs what the head costs.
Each epoch has its own draws of clips and its own augmentation. They are the same for runs of all
seeds, which differ in initial weights and in the order in which the clips come.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from aqtaudio.data.cache_folder import default_folder
from aqtaudio.files import replacing
from aqtaudio.tasks.setup import Setup

TOGETHER = 128
"""Clips whose features are made in one call."""
SEED = 0
"""Of the clips that are drawn and of their augmentation."""
Clips = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""From places in the endless row of epochs, and a seed, to clips int16 [n, N] and classes [n]."""
Make = Callable[[jax.Array, np.ndarray], jax.Array]
"""From a key and clips int16 [B, N] to features [B, T, F], compiled."""


@dataclasses.dataclass(frozen=True)
class KeptFeatures:
    """The features of `epochs` epochs of `length` clips each.

    They are kept in memory, and on disk under what tells them: `told` and the clips.

    Attributes:
      clips: gives them.
      make: makes features.
      told: what tells this making from others.
      length: clips of an epoch.
      epochs: how many. All of their clips come once, in an order that the seed decides, then all of
        them in another order.
    """

    clips: Clips
    make: Make
    told: str
    length: int
    epochs: int
    _known: dict[int, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)
    _orders: dict[tuple[int, int], np.ndarray] = dataclasses.field(default_factory=dict)

    def batch(self, places: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [n, T, F] and classes [n] at places of the endless row of clips."""
        rounds, within = np.divmod(places, self.epochs * self.length)
        found = []
        for number, place in zip(rounds, within, strict=True):
            epoch, row = divmod(int(self._order(seed, int(number))[place]), self.length)
            features, classes = self._epoch(epoch)
            found.append((features[row], classes[row]))
        features, classes = zip(*found, strict=True)
        return np.stack(features).astype(np.float32), np.stack(classes)

    def _order(self, seed: int, number: int) -> np.ndarray:
        if (seed, number) not in self._orders:
            while len(self._orders) > 3:
                self._orders.pop(next(iter(self._orders)))
            rng = np.random.default_rng([seed, number])
            self._orders[seed, number] = rng.permutation(self.epochs * self.length)
        return self._orders[seed, number]

    def _epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Features float16 and classes of all clips of an epoch."""
        if number not in self._known:
            places = np.arange(number * self.length, (number + 1) * self.length)
            parts = [places[at : at + TOGETHER] for at in range(0, self.length, TOGETHER)]
            known = hashlib.sha256(f"{self.told}\n{SEED} {number}".encode())
            classes = []
            for part in parts:
                clips, of_part = self.clips(part, SEED)
                known.update(clips.tobytes())
                classes.append(of_part)
            file = default_folder() / "clips" / f"{known.hexdigest()[:24]}.npy"
            features = _read(file)
            if features is None:
                print(f"features of epoch {number + 1} of {self.epochs}", flush=True)
                features = np.concatenate([self._made(part) for part in parts])
                _keep(file, features)
            self._known[number] = features, np.concatenate(classes)
        return self._known[number]

    def _made(self, places: np.ndarray) -> np.ndarray:
        clips, _ = self.clips(places, SEED)
        padded = np.resize(clips, (TOGETHER, *clips.shape[1:]))  # an epoch's last ones are fewer
        # No step of training draws from these keys.
        key = jax.random.fold_in(jax.random.key(SEED), 2**31 + int(places[0]))
        return np.asarray(self.make(key, padded))[: len(clips)].astype(np.float16)


_latest: list[tuple[Setup, np.ndarray, np.ndarray]] = []


def of_validation(setup: Setup, clips: np.ndarray) -> np.ndarray:
    """Features of int16 clips [n, N], each from silence; made once for the same array."""
    if not (_latest and _latest[0][0] == setup and _latest[0][1] is clips):
        _latest[:] = [(setup, clips, setup.features_of(clips))]
    return _latest[0][2]


def _keep(file: Path, features: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as new:
        np.save(new, features)


def _read(file: Path) -> np.ndarray | None:
    """None where there is no file, or one that was cut off."""
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
