"""Which clips an epoch of keyword training holds: a pure function of the seed and the epoch."""

import dataclasses

import numpy as np

from aqtaudio.data import crops

UNKNOWN_PER_KEYWORD = 1.25
SILENCE_PER_KEYWORD = 1.25
QUIET_SHARE = 0.15  # of the silence clips: a quiet room is as much silence as a chainsaw
QUIET_GAIN_LOG10 = (-4.0, -1.0)
STRETCH = (0.15, 0.45)
"""Shares of a clip that are left of running speech: about a word, or a part of one."""
SPLICE = (0.3, 0.7)
"""Shares of their energy at which a keyword and another word are cut to be joined."""
AROUND_DB = (15.0, 40.0)
"""How much quieter what is around it becomes."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """What an epoch may draw from: rows of recordings of one split.

    Attributes:
      keywords: rows that every epoch holds once.
      unknown: rows per kind; kinds get equal shares as far as their audio goes.
      silence: rows, drawn with a chance that grows with their length.
      clips: how many clips fit into each recording, by row.
      starts: where clips may start, all recordings one after the other.
      first_start: by row, where the row's part of `starts` begins; one entry more than rows.
      per_keyword: clips of a typical keyword.
      quiet_share: of the silence clips, that are made quieter.
      unknown_per_keyword: unknown clips in an epoch, per clip of a typical keyword.
      cut_share: of the unknown clips out of longer recordings, of which a stretch is left.
      spliced: clips in an epoch, per unknown clip, that begin as a keyword and end as another word
        or the other way round; they are unknown too.
    """

    keywords: np.ndarray
    unknown: list[np.ndarray]
    silence: np.ndarray
    clips: np.ndarray
    starts: np.ndarray
    first_start: np.ndarray
    per_keyword: float
    quiet_share: float = QUIET_SHARE
    unknown_per_keyword: float = UNKNOWN_PER_KEYWORD
    cut_share: float = 0.0
    spliced: float = 0.0

    @property
    def unknown_counts(self) -> list[int]:
        """Clips of each unknown kind in an epoch."""
        sizes = [int(self.clips[rows].sum()) for rows in self.unknown]
        return crops.in_turns(sizes, max(1, round(self.unknown_per_keyword * self.per_keyword)))

    @property
    def silence_count(self) -> int:
        """Silence clips in an epoch."""
        return max(1, round(SILENCE_PER_KEYWORD * self.per_keyword))

    @property
    def spliced_count(self) -> int:
        """Spliced clips in an epoch."""
        return round(self.spliced * sum(self.unknown_counts))

    def __len__(self) -> int:
        """Clips in an epoch."""
        others = sum(self.unknown_counts) + self.silence_count + self.spliced_count
        return len(self.keywords) + others


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The clips of one epoch in their order: row, start_sample and gain of each.

    `stretches`: [n, 3], where the part begins and ends that stays as loud as it was, as shares of
    the clip, and the gain of what is around it. None: all clips stay as they are.
    `splices`: [n, 2], the row that a clip is cut and joined with, -1 for none, and the share of the
    energy at which. None: of none.
    """

    rows: np.ndarray
    start_samples: np.ndarray
    gains: np.ndarray
    stretches: np.ndarray | None = None
    splices: np.ndarray | None = None


def draw(pool: Pool, seed: int, epoch: int) -> Epoch:
    """Draws the clips of an epoch and shuffles them."""
    rng = np.random.default_rng([seed, epoch])
    unknown = [
        _turns(rows, count, rng)
        for rows, count in zip(pool.unknown, pool.unknown_counts, strict=True)
    ]
    length = pool.clips[pool.silence]
    silence = rng.choice(pool.silence, pool.silence_count, p=length / length.sum())
    splices = _splices(pool, rng) if pool.spliced_count else np.zeros((0, 3))
    rows = np.concatenate([pool.keywords, *unknown, splices[:, 0].astype(np.int64), silence])
    gains = np.ones(len(rows), np.float32)
    quiet = rng.random(len(silence)) < pool.quiet_share
    exponent = rng.uniform(*QUIET_GAIN_LOG10, size=len(silence))
    gains[len(rows) - len(silence) :][quiet] = 10.0 ** exponent[quiet]
    choices = pool.first_start[rows + 1] - pool.first_start[rows]
    choice = (rng.random(len(rows)) * choices).astype(np.int64)
    joined = np.tile((-1.0, 0.0), (len(rows), 1))
    first = len(rows) - len(silence) - len(splices)
    joined[first : first + len(splices)] = splices[:, 1:]
    order = rng.permutation(len(rows))
    return Epoch(
        stretches=_stretches(pool, rows[order], rng) if pool.cut_share else None,
        splices=joined[order] if len(splices) else None,
        rows=rows[order],
        start_samples=pool.starts[pool.first_start[rows] + choice][order],
        gains=gains[order],
    )


def _stretches(pool: Pool, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    unknown = np.isin(rows, np.concatenate(pool.unknown)) & (pool.clips[rows] > 1)
    cut = unknown & (rng.random(len(rows)) < pool.cut_share)
    length = rng.uniform(*STRETCH, size=len(rows))
    start = rng.random(len(rows)) * (1 - length)
    gain = 10.0 ** (-rng.uniform(*AROUND_DB, size=len(rows)) / 20)
    found = np.stack([start, start + length, gain], -1)
    return np.where(cut[:, None], found, (0.0, 1.0, 1.0))


def _splices(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Rows that begin and that end each of them, and where they are cut, [n, 3]."""
    others = np.concatenate(pool.unknown)
    words = others[pool.clips[others] == 1]
    count = pool.spliced_count if len(words) else 0
    pairs = np.stack([rng.choice(of, count) for of in (pool.keywords, words)], -1)
    swapped = rng.random(count) < 0.5
    pairs[swapped] = pairs[swapped, ::-1]
    return np.column_stack([pairs, rng.uniform(*SPLICE, size=count)])


def _turns(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `count` rows; each row comes once before one comes again."""
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)] or [rows[:0]])[:count]
