"""Which synthetic voices speak: Kokoro's where they are there, else espeak's."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import names
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.speech_engine import Engine


def add_voices(command: argparse.ArgumentParser) -> None:
    """The options."""
    command.add_argument("--voices", choices=("kokoro", "espeak"), help="default: kokoro if there")
    command.add_argument("--voice-files", type=Path, metavar="DIR", help="Kokoro's files")
    command.add_argument("--voice-names", type=names, metavar="A,B,...")


def engine_of(options: argparse.Namespace) -> "Engine":
    """What speaks. Raises BadInput where the wanted one is not there."""
    from aqtaudio.data.espeak_engine import Espeak
    from aqtaudio.data.kokoro import Kokoro

    chosen = options.voice_names or ()
    if options.voices != "espeak":
        try:
            return Kokoro(options.voice_files, chosen)
        except BadInput as error:
            if options.voices == "kokoro" or options.voice_files:
                raise
            say(
                f"no neural voices ({error}); espeak's go on: what learns from them finds fewer "
                "people (extra `voices`, --voices kokoro)"
            )
    return Espeak(chosen) if chosen else Espeak()
