"""A corpus of texts that many synthetic voices say: a manifest folder that may grow for hours."""

import collections
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aqtaudio.data import audio, crops, manifest, recorded, sidecars, spoken_texts
from aqtaudio.data.growing_folder import growing
from aqtaudio.data.manifest import Recording
from aqtaudio.data.speech_engine import Engine, Manner, split_of
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.errors import BadInput
from aqtaudio.files import replacing
from aqtaudio.files import write as write_file

NAME = "synth.json"
FORMAT = 1  # of the corpus: a new number where the same settings give other samples
RATE_HZ = 16000
USUAL_SPEAKERS = 200
# A speaker's habits, and how much each take differs from them (times).
SPEED, SPEED_OF_TAKE = (0.85, 1.2), (0.9, 1.12)
PITCH, PITCH_OF_TAKE = (0.92, 1.09), (0.98, 1.02)
FASTEST = 2.5
LONGEST_SHARE = 0.95  # of a clip of fixed length that speech may fill


@dataclasses.dataclass(frozen=True)
class SpeechSettings:
    """How texts are spoken; the same texts, engine and settings give the same samples.

    Attributes:
      takes: clips of each text, by different speakers as far as they go.
      speakers: voices, each (with the mixtures that contain it) in one split only: 1 of 8 test,
        1 of 6 val. 0: as many as the engine has, at most 200.
      languages: of espeak-ng, whose accent reads texts without a pronunciation; speakers go through
        them in turns.
      clip_ms: length of every clip, the speech somewhere in it. 0: as long as it takes.
      label: of all recordings in the manifest but neighbours; empty: each text is its own.
      seed: of everything random.
    """

    takes: int = 1
    speakers: int = 0
    languages: tuple[str, ...] = ("en-us",)
    clip_ms: int = 0
    label: str = ""
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Speaker:
    """Somebody who speaks: a voice of the engine, its split, its habits (as in `Manner`)."""

    name: str
    voice: str
    language: str
    split: str
    speed: float
    pitch: float


@dataclasses.dataclass(frozen=True)
class _Take:
    """One clip to make."""

    text: SpokenText
    number: int
    speaker: Speaker
    path: str


def speak_corpus(
    out: Path,
    texts: Sequence[SpokenText],
    engine: Engine,
    settings: SpeechSettings | None = None,
    jobs: int = 0,
    progress: Callable[[int, int, int], None] | None = None,
    neighbour_of: Mapping[SpokenText, str] | None = None,
) -> Path:
    """Speaks texts into a manifest folder with transcripts, one 16 kHz FLAC file per take.

    A folder that the same call left unfinished is gone on with, clip by clip, and becomes the same
    corpus; one that is complete is left as it is. Manifest and transcripts come last.

    Args:
      out: the folder; synth.json in it tells what it holds and whether it is complete.
      texts: what is said.
      engine: what says it.
      settings: `SpeechSettings()` unless told.
      jobs: clips made at a time; 0: one per processor. It changes no sample.
      progress: called with the clips done, the clips in all, and the clips that were there before.
      neighbour_of: the keyword that a text only sounds like, of texts that are such. Their label is
        always their own text, and neighbours.tsv names the keyword (`sidecars.neighbours`).

    Returns:
      out.

    Raises:
      BadInput: texts or settings that cannot be, a folder that holds something else, or a text that
        the engine cannot say, or not within a clip.
    """
    out, settings = Path(out), settings or SpeechSettings()
    keywords = {each: word for each, word in (neighbour_of or {}).items() if each in texts}
    spoken_texts.require(texts)
    people = speakers(settings, engine)
    said = {
        language: dict(zip(texts, engine.prepared(texts, language), strict=True))
        for language in dict.fromkeys(person.language for person in people)
    }
    takes = _takes(settings, texts, people, engine.name)
    with growing(out, NAME, _description(settings, texts, engine, keywords)) as complete:
        if complete:
            return out

        def make(take: _Take) -> float:
            seconds = _seconds(out / take.path)
            if seconds is None:
                clip = _clip(settings, engine, take, said[take.speaker.language][take.text])
                seconds = _write(out / take.path, clip)
            return seconds

        before = sum((out / take.path).is_file() for take in takes)
        seconds = _all(make, takes, jobs or os.cpu_count() or 1, before, progress)
        _write_lists(out, settings, engine, takes, seconds, keywords)
    return out


def speakers(settings: SpeechSettings, engine: Engine) -> list[Speaker]:
    """Who speaks: voices of the engine, and mixtures of such as are in the same split.

    Raises BadInput for settings that cannot be.
    """
    _require(settings, engine)
    count = settings.speakers or min(USUAL_SPEAKERS, _most(settings, engine))
    own, foreign = (_by_split(settings, v) for v in (engine.voices, engine.foreign))
    people, turns = [], collections.Counter[str]()
    for number in range(count):
        split = split_of(number) if own[split_of(number)] else "train"
        rng = _rng(settings, "speaker", number)
        turn = turns[split]
        turns[split] += 1
        voice = engine.compose(own[split], foreign[split], turn, rng)
        around, which = divmod(turn, len(own[split]))  # next time round in another language
        language = settings.languages[(which + around) % len(settings.languages)]
        accent = f"@{language}" if len(settings.languages) > 1 else ""
        people.append(
            Speaker(
                name=f"{engine.name}:{voice}{accent}",
                voice=voice,
                language=language,
                split=split,
                speed=rng.uniform(*SPEED),
                pitch=rng.uniform(*PITCH),
            )
        )
    return people


def _most(settings: SpeechSettings, engine: Engine) -> int:
    return engine.most_speakers * len(settings.languages)


def _require(settings: SpeechSettings, engine: Engine) -> None:
    if not settings.languages or len(set(settings.languages)) < len(settings.languages):
        raise BadInput("languages: allowed: at least one, each once")
    if settings.takes < 1:
        raise BadInput(f"takes {settings.takes}; allowed: at least 1")
    most = _most(settings, engine)
    if not 0 <= settings.speakers <= most:
        raise BadInput(f"speakers {settings.speakers}; allowed: 1 to {most}, or 0 for the usual")
    if settings.clip_ms and not 100 <= settings.clip_ms <= 60_000:
        raise BadInput(
            f"clip_ms {settings.clip_ms}; allowed: 100 to 60000, or 0 for no fixed length"
        )
    if settings.seed < 0:
        raise BadInput(f"seed {settings.seed}; allowed: at least 0")
    if any(character in settings.label for character in "\t\r\n"):
        raise BadInput(f"label {settings.label!r}; allowed: no tabs or line breaks")


def _by_split(settings: SpeechSettings, voices: Sequence[str]) -> dict[str, list[str]]:
    """Single voices, each in one split, by the hash of their names."""
    order = sorted(voices, key=lambda voice: crops.hash_order(settings.seed, "voice", voice))
    found: dict[str, list[str]] = {split: [] for split in manifest.SPLITS}
    for number, voice in enumerate(order):
        found[split_of(number)].append(voice)
    return found


def _takes(
    settings: SpeechSettings, texts: Sequence[SpokenText], people: Sequence[Speaker], engine: str
) -> list[_Take]:
    """First takes of all texts, then second ones: a corpus that is half done has all texts.

    Paths tell engine and seed, so that corpora of the same texts go together as data.
    """
    folders = spoken_texts.names(texts)
    top = f"{engine}_{settings.seed}"
    takes = []
    for number in range(settings.takes):
        for at, (text, folder) in enumerate(zip(texts, folders, strict=True)):
            who = (at * settings.takes + number) % len(people)
            path = f"{top}/{people[who].split}/{folder}/{number:04d}_{who:03d}.flac"
            takes.append(_Take(text, number, people[who], path))
    return takes


def _description(
    settings: SpeechSettings,
    texts: Sequence[SpokenText],
    engine: Engine,
    keywords: Mapping[SpokenText, str],
) -> dict[str, Any]:
    said = {
        "format": FORMAT,
        "engine": engine.identity(),
        "settings": dataclasses.asdict(settings),
        "texts": [[each.text, each.phones] if each.phones else [each.text] for each in texts],
    }
    if keywords:  # only then: folders without neighbours are described as they always were
        said["neighbours"] = [[each.text, keywords[each]] for each in texts if each in keywords]
    return said


def _rng(settings: SpeechSettings, *key: object) -> np.random.Generator:
    return np.random.default_rng(crops.hash_order(settings.seed, *key))


# Clips.


def _clip(settings: SpeechSettings, engine: Engine, take: _Take, prepared: str) -> np.ndarray:
    """float [N] at RATE_HZ: the speech, as somebody records it."""
    rng = _rng(settings, take.path, take.text.text, take.text.phones)
    clip_samples = settings.clip_ms * RATE_HZ // 1000
    speed = take.speaker.speed * rng.uniform(*SPEED_OF_TAKE)
    pitch = take.speaker.pitch * rng.uniform(*PITCH_OF_TAKE)
    seed = int(rng.integers(1, 2**31))
    while True:
        manner = Manner(take.speaker.voice, take.speaker.language, speed, pitch, seed)
        voice = recorded.trimmed(*engine.say(prepared, manner), RATE_HZ)
        if not len(voice):
            raise BadInput(f"text {take.text.text!r}: {take.speaker.name} says nothing")
        longest = int(LONGEST_SHARE * clip_samples) or len(voice)
        if len(voice) <= longest:
            return recorded.recorded(voice, clip_samples, RATE_HZ, rng)
        if speed >= FASTEST:
            raise BadInput(
                f"text {take.text.text!r} takes {len(voice) / RATE_HZ:.2f} s at the fastest; "
                f"allowed: what fits into a clip of {settings.clip_ms} ms, or no fixed length"
            )
        speed = min(FASTEST, 1.05 * speed * len(voice) / longest)


def _write(file: Path, clip: np.ndarray) -> float:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as new:
        audio.write(new, audio.to_int16(clip), RATE_HZ)
    return len(clip) / RATE_HZ


def _seconds(file: Path) -> float | None:
    """Of a clip that is there; None: make it."""
    if not file.is_file():
        return None
    try:
        return soundfile.info(os.fsencode(file)).frames / RATE_HZ or None
    except soundfile.SoundFileError:
        return None


def _all(
    make: Callable[[_Take], float],
    takes: Sequence[_Take],
    jobs: int,
    before: int,
    progress: Callable[[int, int, int], None] | None,
) -> list[float]:
    """Makes all takes, some at a time; what fails ends the rest."""
    threads = ThreadPoolExecutor(jobs)
    try:
        waiting = {threads.submit(make, take): at for at, take in enumerate(takes)}
        seconds = [0.0] * len(takes)
        for done, future in enumerate(as_completed(waiting), start=1):
            seconds[waiting[future]] = future.result()
            if progress:
                progress(done, len(takes), before)
        return seconds
    finally:
        threads.shutdown(cancel_futures=True)


def _write_lists(
    out: Path,
    settings: SpeechSettings,
    engine: Engine,
    takes: Sequence[_Take],
    seconds: Sequence[float],
    keywords: Mapping[SpokenText, str],
) -> None:
    rows = [
        Recording(
            path=take.path,
            label=(settings.label if take.text not in keywords else "") or take.text.text,
            speaker=take.speaker.name,
            split=take.speaker.split,
            source=engine.name,
            licence="generated",
            seconds=length,
            sample_rate_hz=RATE_HZ,
        )
        for take, length in zip(takes, seconds, strict=True)
    ]
    lines = [f"{take.path}\t{take.text.text}\n" for take in takes]
    write_file(out / manifest.TRANSCRIPTS, "".join(lines))
    if keywords:
        of = {take.path: keywords[take.text] for take in takes if take.text in keywords}
        sidecars.write_neighbours(out, of)
    manifest.write(out, rows)
