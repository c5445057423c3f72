"""aqtaudio listen: keywords as they are said."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import (
    RUNTIMES,
    Verbs,
    add_frontend,
    add_run,
    given,
    positive,
    require_frontend,
    require_there,
)
from aqtaudio.commands.keywords import add_detector, stored_settings
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.kept import Kept

RAW = (".raw", ".pcm", ".s16", ".s16le")
"""Endings of files without a header."""
FIRST_WORD_S = 0.5
"""How long the first line waits for audio, which may prove to be none."""


def add(verbs: Verbs) -> None:
    """The verb of this file."""
    text = "keywords in a recording or a microphone, as they are said"
    command = verbs.add("listen", listen, text)
    add_run(command)
    command.add_argument(
        "source",
        metavar="FILE.wav|-",
        help="-: standard input, raw little-endian 16-bit samples; FILE.raw: the same in a file",
    )
    command.add_argument(
        "--rate", type=positive, metavar="HZ", help="of raw samples; default: the front end's"
    )
    command.add_argument(
        "--channels", type=positive, metavar="N", help="of raw samples, of which the mean is heard"
    )
    command.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="default: the one that starts fastest with the program's integers",
    )
    add_frontend(command)
    command.add_argument("--threshold", type=float, metavar="SHARE")
    add_detector(command)
    command.add_argument(
        "--json",
        action="store_true",
        help="a line of JSON per detection, at once, and one of all at the end",
    )


def listen(options: argparse.Namespace) -> int:
    """Prints detections as they happen."""
    require_there(options.path)
    arriving = _arriving() if options.source == "-" else None  # first: what comes now is kept
    from aqtaudio.data.pipes import Raw
    from aqtaudio.detection.detector import Detection, DetectorSettings

    changes = given(options, DetectorSettings)
    DetectorSettings(**changes)
    raw = Raw(options.rate, options.channels or 1)
    heard = _Heard(options.source, raw, arriving)
    glance = _glance(options.path)
    told = glance and not options.json and options.frontend is None
    if told:
        heard.wait(FIRST_WORD_S)
        say(f"listening to {heard.name}: {glance}{_thresholds(options.path, changes)}")

    from aqtaudio.runs.network import listening, quickest
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.listening import listen
    from aqtaudio.tasks.keywords.task import Keywords

    run = Run(options.path)
    task = Keywords.of(run.experiment.task, run.path)
    require_frontend(run, options.frontend)
    run.experiment.setup.require_audio()
    settings, origin = stored_settings(run.path, task, changes)
    rate_hz = run.experiment.frontend.sample_rate_hz
    runtime = options.runtime or quickest(run)
    found: list[dict[str, Any]] = []

    def show(detection: Detection) -> None:
        if options.json:
            found.append(dataclasses.asdict(detection))
            print(json.dumps(found[-1]), flush=True)
        else:
            line = f"{detection.time_s:9.2f} s  {detection.confidence:.2f}  {detection.label}"
            print(line, flush=True)

    with listening(run, runtime) as stream:
        seconds = listen(stream, task, heard.samples(rate_hz), settings, show) / rate_hz
    if options.json:
        thresholds = {word: at.threshold for word, at in settings.items()}
        value = {"runtime": runtime, "seconds": seconds, "detections": found}
        value |= {"thresholds": thresholds, "thresholds_are": origin}
        print(json.dumps(value))
    return 0


def _arriving() -> "Kept":
    """Standard input. Raises BadInput where nothing is piped into it."""
    from aqtaudio.data.kept import Kept

    if sys.stdin is None or sys.stdin.isatty():
        raise BadInput("standard input is no pipe; pipe raw 16-bit samples into it")
    return Kept(sys.stdin.buffer)


class _Heard:
    """What is listened to. Raises BadInput for what can be seen not to be audio."""

    def __init__(self, source: str, raw: Any, arriving: "Kept | None"):
        from aqtaudio.data import audio, kept, pipes

        self._raw, self._file = raw, Path(source)
        self._pipe, self.name = arriving, source
        if arriving is not None:
            self.name = "standard input"
        elif self._file.suffix.lower() in RAW:
            if not self._file.is_file():
                raise BadInput(f"no audio file {source}")
            self._pipe = kept.Kept(self._file.open("rb"))
        elif raw != pipes.Raw():
            raise BadInput(f"{source}: --rate and --channels are of raw samples: -, or FILE.raw")
        else:
            audio.require_readable(self._file)

    def wait(self, seconds: float) -> None:
        """Until something has arrived, at most so long. Raises BadInput where it is no audio."""
        from aqtaudio.data.pipes import require_raw

        if self._pipe is not None:
            start = self._pipe.first(seconds)
            if start is not None:
                require_raw(start, self.name)

    def samples(self, rate_hz: int) -> Iterator[Any]:
        """int16 [n] at a rate, as they come."""
        from aqtaudio.data import audio, pipes

        if self._pipe is None:
            return audio.chunks(self._file, rate_hz)
        return pipes.raw_chunks(self._pipe, rate_hz, self._raw, self.name)


def _glance(path: Path) -> str:
    """The words of a run, before anything heavy is imported; empty where it is no such run."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        words = config["task"]["keywords"]
        is_stream = config["stream_block_frames"] > 0 and isinstance(words, list)
    except (OSError, ValueError, TypeError, KeyError):
        return ""  # what is wrong is said by those who read all of it
    return f"words {', '.join(map(str, words))}" if is_stream else ""


def _thresholds(path: Path, changes: Mapping[str, float]) -> str:
    """What a posterior must reach, in words."""
    from aqtaudio.detection import stored
    from aqtaudio.detection.detector import DetectorSettings

    if "threshold" in changes:
        return f"; threshold {changes['threshold']:g}"
    if found := stored.read(path):
        each = ", ".join(f"{word} {at.threshold:.3g}" for word, at in found.items())
        return f"; thresholds {each}"
    return (
        f"; the threshold {DetectorSettings().threshold:g} is a guess: the run has no "
        f"{stored.NAME}; `aqtaudio detect RUN --data DIR` finds one for every word and stores them"
    )
