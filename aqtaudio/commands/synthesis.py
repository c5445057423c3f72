"""aqtaudio data synth: recordings of synthetic voices, a keyword corpus or texts."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import Verbs, given, names, positive
from aqtaudio.commands.neighbours import add_dictionary, dictionary_of
from aqtaudio.commands.progress import Progress
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.speech_engine import Engine
    from aqtaudio.data.spoken_texts import SpokenText

_OF_KEYWORDS = ("words", "unknown_words", "clips_per_speaker")
_OF_TEXTS = (
    *("voices", "takes", "clip_ms", "label", "voice_files", "voice_names", "jobs"),
    *("neighbours", "dictionary"),
)


def add(verbs: Verbs) -> None:
    """The verb."""
    command = verbs.add("synth", synth, "recordings of synthetic voices: keywords, or any texts")
    command.add_argument("--out", type=Path, required=True)
    both = (("speakers", "how many voices"), ("seed", "of everything random"))
    for name, text in both:
        command.add_argument(f"--{name}", type=int, metavar="N", help=text)
    command.add_argument("--languages", type=names, metavar="A,B,...", help="of espeak-ng: accents")
    words = command.add_argument_group("a keyword corpus: clips of 1 s over noise, from espeak-ng")
    for name in ("words", "unknown-words"):
        words.add_argument(f"--{name}", type=names, metavar="A,B,...")
    words.add_argument("--clips-per-speaker", type=int, metavar="N")
    texts = command.add_argument_group("texts: killed and started again, it goes on")
    texts.add_argument("--say", nargs="+", action="extend", metavar="TEXT", help="what is said")
    texts.add_argument(
        "--texts", type=Path, metavar="FILE", help="one per line; after a tab IPA or ARPAbet"
    )
    texts.add_argument("--voices", metavar="espeak|kokoro|piper:FILE.onnx", help="default: espeak")
    texts.add_argument("--takes", type=int, metavar="N", help="clips of each text (default: 1)")
    texts.add_argument("--clip-ms", type=int, metavar="N", help="fixed length; else as it comes")
    texts.add_argument("--label", help="of all recordings (default: each text is its own)")
    texts.add_argument("--voice-files", type=Path, metavar="DIR", help="Kokoro's files")
    texts.add_argument("--voice-names", type=names, metavar="A,B,...", help="use only these voices")
    texts.add_argument(
        "--neighbours", type=positive, metavar="N", help="of each text: what sounds almost like it"
    )
    add_dictionary(texts)
    texts.add_argument("--jobs", type=positive, metavar="N", help="clips at a time")


def synth(options: argparse.Namespace) -> int:
    """Makes a synthetic corpus."""
    asked = options.say or options.texts
    wrong = [n for n in (_OF_KEYWORDS if asked else _OF_TEXTS) if getattr(options, n) is not None]
    if wrong:
        flag = f"--{wrong[0].replace('_', '-')}"
        raise BadInput(f"{flag}: {'not with' if asked else 'only with'} --say or --texts")
    print(_speak(options) if asked else _keywords(options))
    return 0


def _keywords(options: argparse.Namespace) -> Path:
    from aqtaudio.data.synth import SynthSettings, synth

    return synth(options.out, SynthSettings(**given(options, SynthSettings)))


def _speak(options: argparse.Namespace) -> Path:
    from aqtaudio.data.speech_synthesis import SpeechSettings, speak_corpus

    settings = SpeechSettings(**given(options, SpeechSettings))
    engine = _engine(options, settings.languages[0] if settings.languages else "")
    texts = _texts(options)
    neighbour_of = _neighbours(options, texts, settings.languages)
    every = [*texts, *neighbour_of]
    return speak_corpus(
        options.out, every, engine, settings, options.jobs or 0, Progress("clips"), neighbour_of
    )


def _neighbours(
    options: argparse.Namespace, texts: "list[SpokenText]", languages: Sequence[str]
) -> "dict[SpokenText, str]":
    """Neighbours of texts, each with the text that it is a neighbour of."""
    from aqtaudio.data.spoken_neighbours import spoken_neighbours

    if options.neighbours is None:
        if options.dictionary:
            raise BadInput("--dictionary: only with --neighbours")
        return {}
    if not languages:
        return {}  # which the settings refuse
    found = {}
    for each in spoken_neighbours(texts, options.neighbours, dictionary_of(options), languages):
        say(f"{each.phrase.line}: {len(each.neighbours)} neighbours")
        found |= {neighbour.phrase.spoken: each.text for neighbour in each.neighbours}
    return found


def _texts(options: argparse.Namespace) -> "list[SpokenText]":
    from aqtaudio.data import spoken_texts

    texts = [spoken_texts.spoken(text) for text in options.say or ()]
    return texts + (spoken_texts.read(options.texts) if options.texts else [])


def _engine(options: argparse.Namespace, language: str) -> "Engine":
    kind, _, file = (options.voices or "espeak").partition(":")
    chosen = options.voice_names or ()
    if options.voice_files and kind != "kokoro":
        raise BadInput("--voice-files: only with --voices kokoro")
    if kind == "espeak" and not file:
        from aqtaudio.data.espeak_engine import Espeak

        return Espeak(chosen) if chosen else Espeak()
    if kind == "kokoro" and not file:
        from aqtaudio.data.kokoro import Kokoro

        return Kokoro(options.voice_files, chosen, language)
    if kind == "piper" and file:
        from aqtaudio.data.piper import Piper

        return Piper(Path(file), chosen)
    raise BadInput(f"voices {options.voices!r}; allowed: espeak, kokoro, piper:FILE.onnx")
