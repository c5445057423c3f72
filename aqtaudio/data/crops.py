"""Where clips of one length may start in longer recordings, and fair draws among recordings."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

HOP_SAMPLES = 160
FADE_SAMPLES = 160


def hash_order(*key: object) -> int:
    """A number to sort by that depends on the key alone: the first 64 bits of its SHA-1."""
    text = "\t".join(map(str, key))
    return int.from_bytes(hashlib.sha1(text.encode()).digest()[:8], "big")


def pad(audio: np.ndarray, clip_samples: int) -> np.ndarray:
    """Zeros after the end, up to one clip; longer audio is returned as it is."""
    missing = clip_samples - len(audio)
    return np.pad(audio, (0, missing)) if missing > 0 else audio


def starts(audio: np.ndarray, clip_samples: int, loudness: float) -> np.ndarray:
    """Samples at which a clip may start: on a grid, where the clip holds enough of the sound.

    A word in a recording of seconds is somewhere; a clip beside it is silence under the word's
    label. So a start is allowed when its clip has at least `loudness` times the energy of the
    recording's loudest clip (0: everywhere).

    Args:
      audio: int16 [samples], at least one clip long.
      clip_samples: length of a clip.
      loudness: share of energy, 0 to 1.

    Returns:
      int32 [n], n >= 1, ascending.
    """
    last = len(audio) - clip_samples
    grid = np.arange(0, last + 1, HOP_SAMPLES, dtype=np.int32)
    if loudness == 0 or len(grid) == 1:
        return grid
    frames = audio[: len(audio) // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    frames = frames.astype(np.float32)
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("fs,fs->f", frames, frames), dtype=float)])
    first = grid // HOP_SAMPLES
    clip_energy = energy[first + clip_samples // HOP_SAMPLES] - energy[first]
    return grid[clip_energy >= loudness * clip_energy.max()]


def stretch(clip: np.ndarray, start: float, end: float, gain: float) -> np.ndarray:
    """A clip, int16 [N], of which a stretch stays as it is; around it the level is another.

    Args:
      clip: samples.
      start: where the stretch begins, as a share of the clip.
      end: where it ends.
      gain: of what is around it, 0 to 1; it changes over FADE_SAMPLES.
    """
    at = np.arange(len(clip))
    outside = np.maximum(start * len(clip) - at, at + 1 - end * len(clip))
    faded = np.clip(outside / FADE_SAMPLES, 0.0, 1.0)
    return np.rint(clip * (1.0 - (1.0 - gain) * faded)).astype(np.int16)


def spliced(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The beginning of one clip and the end of another, int16 [N] each: a word that is neither.

    Each is cut where it has had `share` of its energy; they meet over FADE_SAMPLES.
    """
    length = len(first)
    end, start = (_energy_at(clip, share) for clip in (first, second))
    at = np.arange(length)
    moved = np.clip(at - end + start, 0, length - 1)
    rest = np.where(at - end + start < length, second[moved], 0)
    fade = np.clip((at - end) / FADE_SAMPLES + 0.5, 0.0, 1.0)
    return np.rint(first * (1.0 - fade) + rest * fade).astype(np.int16)


def _energy_at(clip: np.ndarray, share: float) -> int:
    energy = np.cumsum(clip.astype(np.float64) ** 2)
    return int(np.searchsorted(energy, share * energy[-1]))


def apart(allowed: np.ndarray, clip_samples: int, *key: object) -> list[int]:
    """Picks starts whose clips do not overlap, as many as come, in an order that `key` decides."""
    picked = []
    while len(allowed):
        pick = int(allowed[hash_order(*key, len(picked)) % len(allowed)])
        picked.append(pick)
        allowed = allowed[np.abs(allowed - pick) >= clip_samples]
    return picked


def in_turns(sizes: Sequence[int], total: int) -> list[int]:
    """Shares `total` among groups evenly, none more than its size: how many of each group."""
    counts = [0] * len(sizes)
    left = min(total, sum(sizes))
    while left:
        open_groups = [group for group, size in enumerate(sizes) if counts[group] < size]
        share = max(1, left // len(open_groups))
        for group in open_groups[:left]:
            taken = min(share, sizes[group] - counts[group])
            counts[group] += taken
            left -= taken
    return counts


def grouped(keys: Iterable[str]) -> list[np.ndarray]:
    """Indices of equal keys, one int array per key, in the order of the sorted keys."""
    groups: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return [np.asarray(groups[key]) for key in sorted(groups)]
