"""A phrase and what only sounds like it, said by voices or people, as an encoder puts it out."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from aqtaudio.adaptation.negative_codes import codes_of_clips
from aqtaudio.adaptation.text_encoder import TextEncoder
from aqtaudio.data import audio, manifest, noises
from aqtaudio.data.cache_folder import default_folder
from aqtaudio.data.crops import hash_order
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.labels import SILENCE, class_of, says, spoken
from aqtaudio.data.manifest import Recording
from aqtaudio.data.phrase import Phrase
from aqtaudio.data.speech_engine import Engine
from aqtaudio.data.speech_synthesis import SpeechSettings, speak_corpus
from aqtaudio.data.spoken_neighbours import spoken_neighbours
from aqtaudio.errors import BadInput
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.text_keywords.clips import TOGETHER, Clip, Surroundings
from aqtaudio.tasks.text_keywords.task import HEARD

NEIGHBOUR_TAKES = 6
LEAD_MS, TAIL_MS = 800, 600
LONGEST_MS = 6000
"""Of a recording."""
SCENES = 3
"""That each recording is heard in."""
NOISE_MS, NOISES_PER_KIND = 10_000, 4
TALKS, WORDS_PER_TALK = 20, 8
CHOOSES_OF = 4
"""Where all recordings are of one split, every so many chooses."""
Progress = Callable[[int, int, int], None] | None


@dataclasses.dataclass(frozen=True)
class Sayings:
    """Who says a phrase.

    Attributes:
      engine: voices that speak it and its neighbours; None: none do.
      recordings: manifest folders of people; may be none.
      takes: clips of the phrase by voices.
      neighbours: of the phrase, at most, `NEIGHBOUR_TAKES` clips of each.
    """

    engine: Engine | None = None
    recordings: Sequence[Path] = ()
    takes: int = 120
    neighbours: int = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Clips, each from silence, in rooms, in noise and at levels.

    Attributes:
      codes: int8 [n, T, C] that the encoder puts out.
      says: bool [n]: the phrase is said; in the others something that sounds like it.
      trains: bool [n]; the others choose.
    """

    codes: np.ndarray
    says: np.ndarray
    trains: np.ndarray


def spoken_folders(
    phrase: Phrase, by: Sayings, known: Dictionary | None, progress: Progress
) -> tuple[list[Path], set[str]]:
    """Manifest folders of those who say a phrase, and the texts that only sound like it.

    What voices say is kept in the cache, and gone on with where it was stopped.
    """
    if by.engine is None:
        return list(by.recordings), set()
    (found,) = spoken_neighbours([phrase.spoken], by.neighbours, known)
    near = [each.phrase.spoken for each in found.neighbours]
    told = f"{phrase.spoken} {near} {by.takes} {by.engine.name} {by.engine.identity}"
    folder = default_folder() / "voices" / hashlib.sha256(told.encode()).hexdigest()[:24]
    settings = SpeechSettings(takes=by.takes)
    made = [speak_corpus(folder / "phrase", [phrase.spoken], by.engine, settings, 0, progress)]
    if near:
        settings = SpeechSettings(takes=NEIGHBOUR_TAKES, seed=1)
        made.append(speak_corpus(folder / "near", near, by.engine, settings, 0, progress))
    return [*made, *by.recordings], {each.text for each in near}


def examples(
    encoder: TextEncoder, text: str, near: Collection[str], folders: Sequence[Path]
) -> Examples:
    """Of a phrase: recordings of folders whose label or transcript it is, or one of `near`.

    Noises of these folders are heard beside them, or made ones where there are none, and what else
    is said in the folders.

    Raises BadInput where too few clips say the phrase.
    """
    rate_hz = encoder.experiment.frontend.sample_rate_hz
    rows = manifest.read_all(folders)
    said = [(row, words) for row in rows if (words := _said(row))]
    kept = [(row, words == text) for row, words in said if words == text or words in near]
    own, trains = np.asarray([own for _, own in kept]), _training([row for row, _ in kept])
    if not (own & trains).any() or not (own & ~trains).any():
        raise BadInput(
            f"{text!r}: {sum(own)} clips are too few to train on some and to choose by others; "
            "needed: more recordings, or more --takes"
        )
    sounds = [audio.load_int16(row.file, rate_hz) for row, _ in kept]
    others = [
        row for row, words in said if not says(words, text) and class_of(row.label, ()) != SILENCE
    ]
    beside = [*_noises(rows, rate_hz), *_talk(others, rate_hz)]
    around = Surroundings(beside, HEARD, rate_hz)
    length = max(map(len, sounds)) + (LEAD_MS + TAIL_MS) * rate_hz // 1000
    length += -length % (rate_hz // 2)  # few lengths, few compilations
    clips = [
        _clip(sound, length, rate_hz, hash_order(row.path, scene))
        for (row, _), sound in zip(kept, sounds, strict=True)
        for scene in range(SCENES)
    ]
    return Examples(
        np.concatenate(list(_codes(encoder, around, clips))),
        np.repeat(own, SCENES),
        np.repeat(trains, SCENES),
    )


def require_said(texts: Sequence[str], by: Sayings) -> None:
    """Raises BadInput where neither voices nor people say one of the phrases."""
    if by.engine is not None:
        return
    said = {_said(row) for row in manifest.read_all(by.recordings)}
    for text in texts:
        if text not in said:
            raise BadInput(
                f"nobody says {text!r} in {', '.join(map(str, by.recordings))}; needed: recordings "
                f"of up to {LONGEST_MS // 1000} s whose label or transcript it is"
            )


def _said(row: Recording) -> str:
    """What is said in a recording that is short enough; else nothing."""
    return spoken(row.text or row.label) if row.seconds * 1000 <= LONGEST_MS else ""


def _training(rows: Sequence[Recording]) -> np.ndarray:
    """Split "train"; where there is no other, three of four."""
    trains = np.asarray([row.split == "train" for row in rows])
    if not trains.all() and trains.any():
        return trains
    order = np.argsort([hash_order("chooses", row.path) for row in rows])
    trains = np.ones(len(rows), bool)
    trains[order[::CHOOSES_OF]] = False
    return trains


def _noises(rows: Sequence[Recording], rate_hz: int) -> list[np.ndarray]:
    found = [row for row in rows if class_of(row.label, ()) == SILENCE]
    if found:
        return [audio.load_int16(row.file, rate_hz) for row in found]
    rng = np.random.default_rng(0)
    kinds = noises.coloured(0.0), noises.coloured(1.0), noises.hum, noises.fan, noises.clicks
    samples = NOISE_MS * rate_hz // 1000
    return [
        audio.to_int16(kind(samples, rate_hz, rng))
        for kind in kinds
        for _ in range(NOISES_PER_KIND)
    ]


def _talk(rows: Sequence[Recording], rate_hz: int) -> list[np.ndarray]:
    """Other words one after the other: people talk beside whoever says the phrase."""
    order = sorted(rows, key=lambda row: hash_order("talk", row.path))
    sounds = [audio.load_int16(row.file, rate_hz) for row in order[: TALKS * WORDS_PER_TALK]]
    firsts = range(0, len(sounds), WORDS_PER_TALK)
    return [np.concatenate(sounds[first : first + WORDS_PER_TALK]) for first in firsts]


def _clip(sound: np.ndarray, length: int, rate_hz: int, key: int) -> Clip:
    samples, lead = np.zeros(length, np.int16), LEAD_MS * rate_hz // 1000
    samples[lead : lead + len(sound)] = sound
    nothing = np.zeros(0, np.int32)
    return Clip(samples, key, nothing, (), nothing, nothing)


def _codes(
    encoder: TextEncoder, around: Surroundings, clips: Sequence[Clip]
) -> Iterator[np.ndarray]:
    executor, setup = Executor(encoder.program), encoder.experiment.setup
    for first in range(0, len(clips), TOGETHER):
        some = clips[first : first + TOGETHER]
        features = np.asarray(clip_features(setup)(around.heard(some)))
        yield codes_of_clips(executor, features, setup)[: len(some)]


@functools.cache
def clip_features(setup: Setup):
    """From clips int16 [n, N] to a run's features [n, T, F], compiled."""
    frontend = setup.frontend

    def run(clips: jax.Array) -> jax.Array:
        return frontend.push(audio.to_float(clips), frontend.initial_state(len(clips)))[0]

    return compiled(run)
