"""An offline keyword corpus: any words, said by many synthetic voices, over synthetic noise."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from aqtaudio.data import audio, crops, espeak, manifest, noises
from aqtaudio.data.espeak import VARIANTS, Utterance
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder

NAME = "synth.json"
FORMAT = 1  # of the corpus: a new number where the same settings give other samples
RATE_HZ = 16000
CLIP_SAMPLES = RATE_HZ
LONGEST_SAMPLES = CLIP_SAMPLES * 95 // 100
FASTEST_WORDS_PER_MINUTE = 400
NOISE_SAMPLES = 10 * RATE_HZ
NOISES_PER_KIND = {"train": 4, "val": 2, "test": 2}
BABBLE_VOICES = 8
_CHATTER = (
    "people say that the weather will change before evening and nobody knows where our old garden "
    "table went after winter because somebody moved everything into another room last summer"
).split()


@dataclasses.dataclass(frozen=True)
class SynthSettings:
    """What a synthetic corpus holds; the same settings give the same samples.

    Attributes:
      words: the keywords.
      unknown_words: what else is said.
      languages: of espeak-ng; voices go through them in turns.
      speakers: voices, each in one split only: about 1 in 8 test, 1 in 6 val.
      clips_per_speaker: clips of each word that a speaker says.
      seed: of everything random.
      held_out_words: what else the voices of val and test say, instead of `unknown_words`: words
        that training never hears. Empty: they say the same.
      unknown_per_speaker: clips of such words that a speaker says in all; the words go through the
        speakers in turns. 0: as many of each as of a keyword.
    """

    words: tuple[str, ...] = ("yes", "up", "down", "on", "off", "stop")
    unknown_words: tuple[str, ...] = (
        *("no", "go", "left", "right", "bed", "cat", "happy", "house"),
        *("bird", "wow", "three", "marvin"),
    )
    languages: tuple[str, ...] = (
        *("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp"),
        *("en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"),
    )
    speakers: int = 64
    clips_per_speaker: int = 3
    seed: int = 0
    held_out_words: tuple[str, ...] = ()
    unknown_per_speaker: int = 0


@dataclasses.dataclass(frozen=True)
class Speaker:
    """A synthetic person: a voice, its habits, and the split it belongs to."""

    name: str
    language: str
    variant: str
    split: str
    words_per_minute: float
    pitch: float
    pitch_range: int


def synth(
    out: Path,
    settings: SynthSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Makes a corpus of one-second clips as a manifest folder, unless it is there already.

    Each split has its own voices and its own noise: recordings labelled `noise:*`, some of which
    is mixed into many clips. Rate, pitch, loudness, timbre and the word's place in a clip vary.

    Args:
      out: the folder to make; one that holds the same corpus is left as it is.
      settings: what it holds; `SynthSettings()` unless told.
      progress: called with the clips done and the clips in all.

    Returns:
      out.

    Raises:
      BadInput: settings that cannot be, a folder that holds something else, espeakng_loader is not
        installed, or a word that espeak-ng cannot say within a second.
    """
    out, settings = Path(out), settings or SynthSettings()
    _check_settings(settings)
    if _is_made(out, settings):
        return out
    voices = speakers(settings)
    takes = [_takes(settings, voices, number) for number in range(len(voices))]
    total = sum(map(len, takes))
    with new_folder(out) as folder:
        noise_rows, noise = _write_noise(folder, settings, voices)

        def write(speaker: Speaker, takes: Sequence[tuple[str, int]]) -> list[Recording]:
            return _write_speaker(folder, settings, speaker, takes, noise[speaker.split])

        rows = []
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            for written in threads.map(write, voices, takes):
                rows += written
                if progress:
                    progress(len(rows), total)
        manifest.write(folder, [*rows, *noise_rows])
        (folder / NAME).write_bytes(_text(settings).encode())
    return out


def speakers(settings: SynthSettings) -> list[Speaker]:
    """The voices of a corpus: a variant of espeak-ng is in one split, whatever its language."""
    rng = np.random.default_rng(settings.seed)
    variants = rng.permutation(VARIANTS)[: settings.speakers].tolist()
    test, val = (max(1, round(len(variants) / part)) for part in (8, 6))
    splits = ["test"] * test + ["val"] * val + ["train"] * (len(variants) - test - val)
    people = []
    for number in range(settings.speakers):
        again, which = divmod(number, len(variants))
        language = settings.languages[(which + again) % len(settings.languages)]
        people.append(
            Speaker(
                name=f"{language}+{variants[which]}",
                language=language,
                variant=variants[which],
                split=splits[which],
                words_per_minute=rng.uniform(125, 185),
                pitch=rng.uniform(30, 70),
                pitch_range=int(rng.integers(25, 75)),
            )
        )
    return people


def _words(settings: SynthSettings) -> tuple[str, ...]:
    return (*settings.words, *settings.unknown_words, *settings.held_out_words)


def _takes(
    settings: SynthSettings, voices: Sequence[Speaker], number: int
) -> list[tuple[str, int]]:
    """What a voice says: words, and how often it has said each before."""
    split = voices[number].split
    others = settings.unknown_words
    if settings.held_out_words and split != "train":
        others = settings.held_out_words
    each = range(settings.clips_per_speaker)
    if not settings.unknown_per_speaker:
        return [(word, take) for word in (*settings.words, *others) for take in each]
    before = sum(voice.split == split for voice in voices[:number])
    count = settings.unknown_per_speaker
    turns = [divmod(before * count + turn, len(others)) for turn in range(count)]
    first, _ = turns[0]
    keywords = [(word, take) for word in settings.words for take in each]
    return keywords + [(others[which], again - first) for again, which in turns]


def _check_settings(settings: SynthSettings) -> None:
    words = _words(settings)
    if not settings.words:
        raise BadInput("no words; allowed: at least one")
    times = Counter(words)
    for word in words:
        if times[word] > 1:
            raise BadInput(f"word {word!r} is there twice")
        if not word or not all(part.isalpha() for part in word.replace("'", " ").split(" ")):
            raise BadInput(f"word {word!r}; allowed: letters, with single spaces or ' between")
    if not settings.languages or len(set(settings.languages)) < len(settings.languages):
        raise BadInput("languages: allowed: at least one, each once")
    most = len(VARIANTS) * len(settings.languages)
    if not 3 <= settings.speakers <= most:
        raise BadInput(f"speakers {settings.speakers}; allowed: 3 to {most} (voices x languages)")
    if settings.clips_per_speaker < 1:
        raise BadInput(f"clips_per_speaker {settings.clips_per_speaker}; allowed: at least 1")
    if settings.seed < 0:
        raise BadInput(f"seed {settings.seed}; allowed: at least 0")
    if settings.unknown_per_speaker < 0:
        raise BadInput(f"unknown_per_speaker {settings.unknown_per_speaker}; allowed: at least 0")
    if settings.unknown_per_speaker and not settings.unknown_words:
        raise BadInput("unknown_per_speaker without unknown_words; allowed: 0")


def _text(settings: SynthSettings) -> str:
    values = dataclasses.asdict(settings)
    for name in ("held_out_words", "unknown_per_speaker"):  # corpora of before do not tell of them
        if not values[name]:
            del values[name]
    made = {"format": FORMAT, "settings": values}
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _is_made(out: Path, settings: SynthSettings) -> bool:
    if not (out / NAME).is_file():
        return False
    if (out / NAME).read_bytes() != _text(settings).encode():
        raise BadInput(f"{out} holds a corpus of other settings, see {NAME}; allowed: a new folder")
    return True


def _rng(settings: SynthSettings, *key: object) -> np.random.Generator:
    return np.random.default_rng(crops.hash_order(settings.seed, *key))


# Noise.


def _write_noise(
    folder: Path, settings: SynthSettings, voices: Sequence[Speaker]
) -> tuple[list[Recording], dict[str, list[np.ndarray]]]:
    rows: list[Recording] = []
    noise: dict[str, list[np.ndarray]] = {}
    for split, count in NOISES_PER_KIND.items():
        chatter = _chatter([speaker for speaker in voices if speaker.split == split], settings)
        noise[split] = []
        for kind in (*noises.KINDS, "babble"):
            for number in range(count):
                rng = _rng(settings, split, kind, number)
                if kind == "babble":
                    samples = noises.babble(chatter, NOISE_SAMPLES, rng)
                else:
                    samples = noises.KINDS[kind](NOISE_SAMPLES, RATE_HZ, rng)
                noise[split].append(samples)
                path = f"noise/{split}/{kind}_{number}.flac"
                rows.append(_write(folder, path, f"noise:{kind}", "-", split, samples))
    return rows, noise


def _chatter(voices: Sequence[Speaker], settings: SynthSettings) -> list[np.ndarray]:
    """Some voices of a split saying many words, none of them the corpus's."""
    said = {part for word in _words(settings) for part in word.lower().split()}
    words = [word for word in _CHATTER if word not in said]
    rng = _rng(settings, "chatter", voices[0].name)
    chosen = [voices[number % len(voices)] for number in range(BABBLE_VOICES)]
    return espeak.speak(
        [
            Utterance(" ".join(rng.permutation(words)), speaker.language, speaker.variant)
            for speaker in chosen
        ],
        RATE_HZ,
    )


# Clips.


def _write_speaker(
    folder: Path,
    settings: SynthSettings,
    speaker: Speaker,
    takes: Sequence[tuple[str, int]],
    noise: Sequence[np.ndarray],
) -> list[Recording]:
    utterances = [_utterance(settings, speaker, word, take) for word, take in takes]
    rows = []
    for (word, take), voice in zip(takes, _spoken_in_time(utterances), strict=True):
        rng = _rng(settings, speaker.name, word, take, "clip")
        name = f"{speaker.name}_{take}".replace("+", "_")
        path = f"words/{speaker.split}/{word.replace(' ', '_')}/{name}.flac"
        clip = _clip(voice, noise, rng)
        rows.append(_write(folder, path, word, speaker.name, speaker.split, clip, speaker))
    return rows


def _utterance(settings: SynthSettings, speaker: Speaker, word: str, take: int) -> Utterance:
    rng = _rng(settings, speaker.name, word, take)
    return Utterance(
        text=word,
        language=speaker.language,
        variant=speaker.variant,
        words_per_minute=round(speaker.words_per_minute * rng.uniform(0.85, 1.2)),
        pitch=round(speaker.pitch + rng.uniform(-8, 8)),
        pitch_range=speaker.pitch_range,
        seed=int(rng.integers(1, 2**31)),
    )


def _spoken_in_time(utterances: Sequence[Utterance]) -> list[np.ndarray]:
    """Says the utterances; those that would not fit into a clip are said again, faster."""
    spoken = espeak.speak(utterances, RATE_HZ)
    faster = list(utterances)
    while late := [at for at, voice in enumerate(spoken) if len(voice) > LONGEST_SAMPLES]:
        for at in late:
            if faster[at].words_per_minute >= FASTEST_WORDS_PER_MINUTE:
                raise BadInput(f"word {faster[at].text!r} takes longer than a second to say")
            needed = faster[at].words_per_minute * len(spoken[at]) / LONGEST_SAMPLES
            rate = min(FASTEST_WORDS_PER_MINUTE, round(1.1 * needed))
            faster[at] = dataclasses.replace(faster[at], words_per_minute=rate)
        again = espeak.speak([faster[at] for at in late], RATE_HZ)
        for at, voice in zip(late, again, strict=True):
            spoken[at] = voice
    silent = [faster[at].text for at, voice in enumerate(spoken) if not len(voice)]
    if silent:
        raise BadInput(f"word {silent[0]!r}: espeak-ng says nothing")
    return spoken


def _clip(voice: np.ndarray, noise: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A word somewhere in a clip, through a random microphone, often with a little noise."""
    voice = voice + rng.uniform(-0.4, 0.5) * np.concatenate([[0.0], voice[:-1]])
    voice = voice / np.abs(voice).max() * 10 ** (rng.uniform(-18, -1) / 20)
    start = rng.integers(0, CLIP_SAMPLES - len(voice) + 1)
    clip = np.zeros(CLIP_SAMPLES)
    clip[start : start + len(voice)] = voice
    if rng.random() < 0.6:
        background = noise[int(rng.integers(len(noise)))]
        start = rng.integers(0, len(background) - CLIP_SAMPLES + 1)
        background = background[start : start + CLIP_SAMPLES]
        voice_to_noise = 10 ** (rng.uniform(10, 35) / 20)
        rms = np.sqrt(np.mean(background**2))
        clip += background * (np.sqrt(np.mean(voice**2)) / voice_to_noise / max(rms, 1e-6))
    return clip / max(1.0, np.abs(clip).max() / 0.99)


def _write(
    folder: Path,
    path: str,
    label: str,
    speaker_name: str,
    split: str,
    samples: np.ndarray,
    speaker: Speaker | None = None,
) -> Recording:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    audio.write(folder / path, audio.to_int16(samples), RATE_HZ)
    source = "espeak-ng" if speaker else "generated noise"
    seconds = len(samples) / RATE_HZ
    return Recording(path, label, speaker_name, split, source, "generated", seconds, RATE_HZ)
