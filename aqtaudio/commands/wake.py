"""aqtaudio wake: a detector of phrases that nobody has recorded."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import Verbs, above_zero, add_json, positive, require_there, size
from aqtaudio.commands.neighbours import add_dictionary, dictionary_of
from aqtaudio.commands.progress import Progress
from aqtaudio.commands.voices import add_voices, engine_of
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.spoken_texts import SpokenText

CONFIGS = Path(__file__).parents[2] / "configs"
CONFIG, CONFIG_ALONE = CONFIGS / "wake_words_on_embedding.py", CONFIGS / "wake_words_alone.py"
NEIGHBOURS = 30


def add(verbs: Verbs) -> None:
    """The verb."""
    text = "a detector of phrases, from synthetic voices and hours of other sound"
    command = verbs.add("wake", wake, text)
    command.add_argument("phrases", nargs="+", metavar="PHRASE")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument(
        "--negatives", type=Path, action="append", default=[], metavar="DIR",
        help="a manifest folder of speech, other words, noise, music; or several",
    )  # fmt: skip
    command.add_argument(
        "--recordings", type=Path, action="append", default=[], metavar="DIR",
        help="a manifest folder of people who say the phrases, labelled with them",
    )  # fmt: skip
    add_voices(command)
    command.add_argument("--takes", type=positive, default=200, metavar="N", help="of each phrase")
    command.add_argument("--neighbours", type=int, default=NEIGHBOURS, metavar="N")
    add_dictionary(command)
    command.add_argument("--encoder", type=Path, metavar="RUN", help="default: that of the config")
    command.add_argument("--config", type=Path, default=CONFIG, help="a spotting run's settings")
    command.add_argument(
        "--size", type=size, metavar="64KB",
        help="a detector that stands alone, of so many bytes, taught by the one on the encoder",
    )  # fmt: skip
    command.add_argument("--config-alone", type=Path, default=CONFIG_ALONE, help="its settings")
    command.add_argument("--rate", type=above_zero, default=1.0, help="false alarms per hour (1)")
    add_json(command)


def wake(options: argparse.Namespace) -> int:
    """Makes it, and prints where its page is."""
    require_there(options.encoder, [*options.negatives, *options.recordings])
    if not options.negatives:
        raise BadInput(
            "--negatives DIR is missing: a manifest folder with speech and noise, against which "
            "phrases are learned and thresholds found (`aqtaudio data import` makes one)"
        )
    from aqtaudio.data import spoken_texts
    from aqtaudio.data.phrase import of_spoken
    from aqtaudio.data.spoken_neighbours import spoken_neighbours

    phrases = [spoken_texts.spoken(text) for text in options.phrases]
    known = dictionary_of(options) if options.neighbours else None
    for phrase in phrases if options.neighbours else ():  # a mistake is told before JAX is loaded
        of_spoken(phrase, known)
    from aqtaudio.adaptation import wake as made
    from aqtaudio.experiment import load_config
    from aqtaudio.settings import overlay

    experiment = load_config(options.config)
    if options.encoder is not None:
        experiment = overlay(experiment, {"frontend.run": str(options.encoder)})
    engine = engine_of(options)
    near: dict[SpokenText, str] = {}
    if options.neighbours:
        for each in spoken_neighbours(phrases, options.neighbours, known):
            say(f"{each.phrase.line}: {len(each.neighbours)} neighbours")
            near |= {neighbour.phrase.spoken: each.text for neighbour in each.neighbours}
    sources = made.Sources(phrases, near, engine, options.recordings, options.negatives)
    settings = made.WakeSettings(takes=options.takes, rate=options.rate)
    alone = None
    if options.size is not None:
        settings = dataclasses.replace(settings, file_bytes=options.size)
        alone = load_config(options.config_alone)
    progress = Progress("clips")
    run, value = made.wake(sources, experiment, options.out, settings, say, progress, alone)
    if options.json:
        print(json.dumps(value))
    else:
        print((options.out / made.PAGE).read_text())
        print(f"run   {run.path}\npage  {options.out / made.PAGE}")
    return 0
