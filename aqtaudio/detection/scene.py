"""Continuous test audio with known events: words at random places over a background."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from aqtaudio.errors import BadInput

BACKGROUND_DBFS = -40.0
"""Half of the Speech Commands clips are then at least 18 dB louder where they are loudest."""
MINIMUM_GAP_S = 1.0
FADE_S = 0.01
FRAME_S = 0.01
WORD_SHARE = 0.9
FLOOR_PERCENTILE = 10
OVER_FLOOR = 2.0


@dataclasses.dataclass(frozen=True)
class Event:
    """A word in a scene, from its start to its end."""

    label: str
    start_s: float
    end_s: float


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """Continuous audio of which is known what is in it.

    Attributes:
      samples: int16 [N].
      sample_rate_hz: rate.
      events: the words, in the order of time, without overlap.
    """

    samples: np.ndarray
    sample_rate_hz: int
    events: tuple[Event, ...]

    @property
    def hours(self) -> float:
        """Duration."""
        return len(self.samples) / self.sample_rate_hz / 3600


def make_scene(
    words: Sequence[tuple[str, np.ndarray]],
    background: Sequence[np.ndarray],
    sample_rate_hz: int,
    seconds: float,
    seed: int,
    background_dbfs: float | None = BACKGROUND_DBFS,
    minimum_gap_s: float = MINIMUM_GAP_S,
) -> Scene:
    """A scene of so many seconds that holds every word once, in random order at random places.

    Gaps between clips are exponential over a minimum, given that all of them fill the scene. The
    recordings of the background follow one another in random order, cross-faded, and begin anew
    when they are used up. Sums beyond 16 bits are clipped.

    Args:
      words: label and clip (int16 [samples], as loud as it is in the scene) of each word; may be
        none, for false alarms alone.
      background: int16 [samples] each; noise and speech, without the words.
      sample_rate_hz: rate of all of them.
      seconds: duration of the scene.
      seed: decides everything; 0 or more.
      background_dbfs: root mean square that every recording gets (digital silence stays), in dB of
        full scale; None leaves recordings as they are.
      minimum_gap_s: least silence between clips, and at both ends.

    Raises:
      BadInput: no background, audio that is not int16 [samples] or too short to fade, a clip
        without a word, words that do not fit in, a number out of range.
    """
    _check(words, background, sample_rate_hz, seconds, seed, minimum_gap_s)
    rng = np.random.default_rng(seed)
    total = round(seconds * sample_rate_hz)
    order = rng.permutation(len(words))
    clips = [words[index][1] for index in order]
    starts = _starts(clips, total, round(minimum_gap_s * sample_rate_hz), rng)
    scene = _background(background, total, sample_rate_hz, background_dbfs, rng)
    events = []
    for index, start in zip(order, starts, strict=True):
        label, clip = words[index]
        scene[start : start + len(clip)] += _faded(clip, sample_rate_hz)
        events.append(_event(label, clip, int(start), sample_rate_hz))
    np.clip(np.rint(scene, out=scene), -32768, 32767, out=scene)
    return Scene(scene.astype(np.int16), sample_rate_hz, tuple(events))


def word_span(clip: np.ndarray, sample_rate_hz: int) -> tuple[float, float]:
    """Where the word in a clip is: start and end in seconds, in steps of 10 ms.

    The shortest interval with 90 % of what the clip has above its floor. Measured are root mean
    squares of 10 ms frames, since energies would make a word of its vowel alone. The floor is twice
    (6 dB over) their 10th percentile, at most half the way from there to the loudest frame. The
    last of a soft ending, an s or a t, may still be outside.

    Args:
      clip: int16 [samples].
      sample_rate_hz: its rate.

    Raises:
      BadInput: nothing in the clip is louder than the rest.
    """
    length = max(1, round(FRAME_S * sample_rate_hz))
    frames = clip[: len(clip) // length * length].reshape(-1, length).astype(np.float64)
    loudness = np.sqrt(np.mean(np.square(frames), axis=1))
    if len(loudness):
        quiet = np.percentile(loudness, FLOOR_PERCENTILE)
        floor = min(OVER_FLOOR * quiet, (quiet + loudness.max()) / 2)
        loudness = np.maximum(loudness - floor, 0.0)
    sums = np.concatenate([[0.0], np.cumsum(loudness)])
    if sums[-1] == 0:
        raise BadInput("a clip of evenly loud audio; needed: a word that is louder than the rest")
    # Of every start the first end with enough in between; starts too late for that have none.
    ends = np.searchsorted(sums, sums[:-1] + WORD_SHARE * sums[-1])
    durations = np.where(ends < len(sums), ends - np.arange(len(ends)), len(sums))
    start = int(np.argmin(durations))
    seconds = length / sample_rate_hz
    return start * seconds, int(ends[start]) * seconds


def _event(label: str, clip: np.ndarray, start: int, sample_rate_hz: int) -> Event:
    try:
        start_s, end_s = word_span(clip, sample_rate_hz)
    except BadInput as error:
        raise BadInput(f"scene: word {label!r}: {error}") from error
    clip_s = start / sample_rate_hz
    return Event(label, clip_s + start_s, clip_s + end_s)


def _starts(
    clips: Sequence[np.ndarray], total: int, gap: int, rng: np.random.Generator
) -> np.ndarray:
    """First samples of clips in this order, `gap` samples or more from one another and the ends."""
    lengths = np.asarray([len(clip) for clip in clips], np.int64)
    free = total - int(lengths.sum()) - gap * (len(clips) + 1)
    if len(clips) and free < 0:
        raise BadInput(
            f"scene: {len(clips)} words with their gaps need {total - free} samples of {total}; "
            "allowed: fewer words, a longer scene or smaller gaps"
        )
    # Sorted uniform places in the free time are exponential gaps, given their sum.
    places = np.sort(rng.uniform(0, max(free, 0), len(clips))).astype(np.int64)
    before = np.cumsum(lengths) - lengths
    return places + before + gap * (1 + np.arange(len(clips)))


def _background(
    recordings: Sequence[np.ndarray],
    total: int,
    sample_rate_hz: int,
    dbfs: float | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """float32 [total], in units of int16."""
    result = np.zeros(total, np.float32)
    place, fade = 0, _fade_samples(sample_rate_hz)
    while place < total:
        for index in rng.permutation(len(recordings)):
            recording = recordings[index]
            piece = _faded(recording, sample_rate_hz) * _gain(recording, dbfs)
            result[place : place + len(piece)] += piece[: total - place]
            place += len(recording) - fade
            if place >= total:
                break
    return result


def _gain(recording: np.ndarray, dbfs: float | None) -> float:
    rms = math.sqrt(np.mean(np.square(recording, dtype=np.float64)))
    return 1.0 if dbfs is None or rms == 0 else 32768 * 10 ** (dbfs / 20) / rms


def _fade_samples(sample_rate_hz: int) -> int:
    return round(FADE_S * sample_rate_hz)


def _faded(recording: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """float64, without the steps at both ends that clicks would come from."""
    fade = _fade_samples(sample_rate_hz)
    ramp = (np.arange(fade) + 0.5) / max(fade, 1)
    result = recording.astype(np.float64)
    result[:fade] *= ramp
    result[len(result) - fade :] *= ramp[::-1]
    return result


def _check(
    words: Sequence[tuple[str, np.ndarray]],
    background: Sequence[np.ndarray],
    sample_rate_hz: int,
    seconds: float,
    seed: int,
    minimum_gap_s: float,
) -> None:
    for name, value, least in (
        ("sample_rate_hz", sample_rate_hz, 1),
        ("seconds", seconds, 1),
        ("seed", seed, 0),
        ("minimum_gap_s", minimum_gap_s, 0),
    ):
        if not least <= value < math.inf:
            raise BadInput(f"scene: {name} {value}; allowed: at least {least}")
    if not len(background):
        raise BadInput("scene: no background; needed: at least one recording")
    shortest = 2 * _fade_samples(sample_rate_hz) + 1
    for audio in [*background, *(clip for _, clip in words)]:
        if audio.dtype != np.int16 or audio.ndim != 1 or len(audio) < shortest:
            raise BadInput(
                f"scene: audio {audio.dtype} {list(audio.shape)}; "
                f"allowed: int16 [samples], at least {shortest} samples"
            )
