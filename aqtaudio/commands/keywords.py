"""aqtaudio detect: how well keyword runs find words in continuous audio."""

import argparse
import dataclasses
import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_list,
    add_run,
    add_runtime,
    add_split,
    given,
    require_there,
)
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.second_look import Looks
    from aqtaudio.tasks.keywords.task import Keywords

PROTOCOL_HOURS = 24.0
NEGATIVE_HOURS = 3.0
"""Over which a rate of one in an hour is known within a factor of about three."""


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_detect(verbs)


def add_detector(command: argparse.ArgumentParser) -> None:
    """Settings of `detection.detector.DetectorSettings`; what is not given has its default."""
    command.add_argument("--smoothing-ms", type=float, metavar="MS")
    command.add_argument("--refractory-ms", type=float, metavar="MS")
    command.add_argument("--report-ms", type=float, metavar="MS")


def _add_detect(verbs: Verbs) -> None:
    text = "misses and false alarms of a stream in continuous audio; stores a threshold per word"
    command = verbs.add("detect", detect, text)
    add_run(command)
    add_data(command, required=False)
    add_split(command)
    add_list(command)
    add_runtime(command)
    _add_protocol(command)
    command.add_argument(
        "--rate",
        "--false-alarms-per-hour",
        type=float,
        default=1.0,
        metavar="RATE",
        help="false alarms per hour of each word that its threshold is found for (1)",
    )
    command.add_argument(
        "--hours",
        type=float,
        metavar="H",
        help="running speech, noise and music wanted; what the split lacks is taken from the "
        f"folders' other splits, training last ({NEGATIVE_HOURS:g}); of a protocol's stream "
        f"({PROTOCOL_HOURS:g})",
    )
    command.add_argument(
        "--negatives",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a manifest folder of more recordings without keywords, which training did not hear",
    )
    command.add_argument(
        "--second",
        type=Path,
        metavar="RUN",
        help="a larger run that hears again what RUN rings on, at half of RUN's stored thresholds; "
        "no detector.json is stored",
    )
    command.add_argument("--dry-run", action="store_true", help="store no detector.json")
    add_detector(command)
    add_json(command)


def detect(options: argparse.Namespace) -> int:
    """Misses and false alarms by the hour; leaves the thresholds in the run."""
    if options.protocol is not None:
        return _protocol(options)
    if not options.data:
        raise BadInput("--data DIR is needed, or --protocol picovoice")
    hours = NEGATIVE_HOURS if options.hours is None else options.hours
    if not 0 <= hours < math.inf:
        raise BadInput(f"--hours is {hours}; allowed: 0 and more")
    require_there(options.path, [*options.data, *options.negatives])
    from aqtaudio.adaptation.thresholds import kept, listed_clips
    from aqtaudio.detection import stored
    from aqtaudio.detection.detector import DetectorSettings
    from aqtaudio.runs.network import listening, require_stream
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.listening import Trial, detect
    from aqtaudio.tasks.keywords.negatives import negatives
    from aqtaudio.tasks.keywords.second_look import Looks
    from aqtaudio.tasks.keywords.task import Keywords

    run, split = Run(options.path), options.split
    task, setup = Keywords.of(run.experiment.task, run.path), run.experiment.setup
    require_stream(run)
    setup.require_audio()
    settings = dataclasses.replace(task.detector, **given(options, DetectorSettings))
    opens, looks = functools.partial(listening, run, options.runtime), Looks()
    if options.second is not None:
        opens = _with_second(run, task, options, looks)
    trial = Trial(opens, task, setup, settings)
    data, listed = listed_clips(run, task, options.data, split, options.list)
    if listed.notice:
        say(listed.notice)
    found = negatives(options.data, options.negatives, task.keywords, split, hours)
    value = {"runtime": options.runtime, "split": split, **listed.facts()}
    value |= detect(trial, data, listed.items, found, split, options.rate, say)
    if options.second is not None:
        value["second"] = {"run": str(options.second), "share_of_time": looks.share}
    elif not options.dry_run:
        stored.write(run.path, kept(value))
    answer(value, options.json, _show)
    return 0


def _with_second(run: "Run", task: "Keywords", options: argparse.Namespace, looks: "Looks") -> Any:
    """Opens the run and, where it rings, a second one."""
    from aqtaudio.runs.network import listening, require_stream
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.second_look import require_pair, second_look
    from aqtaudio.tasks.keywords.task import Keywords

    other = Run(options.second)
    require_stream(other)
    theirs = Keywords.of(other.experiment.task)
    require_pair(task, run.experiment.setup, theirs, other.experiment.setup)
    found, origin = stored_settings(run.path, task, {})
    if origin == "guess":
        say("--second: the run has no detector.json; the second looks from a posterior of 0.25 on")
    thresholds = {word: at.threshold / 2 for word, at in found.items()}
    first, second = (functools.partial(listening, one, options.runtime) for one in (run, other))
    return second_look(first, second, task, thresholds, looks)


def _add_protocol(command: argparse.ArgumentParser) -> None:
    """A public benchmark in place of --data."""
    group = command.add_argument_group(
        "a public protocol",
        "in place of --data: a stream of recordings of each word, background speech and noise; a "
        "killed one goes on",
    )
    group.add_argument("--protocol", choices=("picovoice",))
    group.add_argument("--keywords", type=Path, metavar="DIR", help="a folder per word, of clips")
    group.add_argument("--background", type=Path, metavar="DIR", help="a LibriSpeech tree")
    group.add_argument("--noise", type=Path, metavar="DIR", help="a DEMAND tree at 16 kHz")
    group.add_argument("--seed", type=int, default=778, help="of the stream (778, the benchmark's)")
    group.add_argument(
        "--work", type=Path, metavar="DIR", help="where scores are kept (RUN/picovoice)"
    )


def _protocol(options: argparse.Namespace) -> int:
    """Picovoice's wake word benchmark."""
    from aqtaudio.data import wake_word_stream
    from aqtaudio.detection.detector import DetectorSettings
    from aqtaudio.runs.network import listening, require_stream
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.keywords.picovoice import Protocol
    from aqtaudio.tasks.keywords.task import Keywords

    folders = {name: getattr(options, name) for name in ("keywords", "background", "noise")}
    lacking = [f"--{name} DIR" for name, folder in folders.items() if folder is None]
    if lacking:
        raise BadInput(f"--protocol {options.protocol} needs {', '.join(lacking)}")
    hours = PROTOCOL_HOURS if options.hours is None else options.hours
    if not 0 < hours <= PROTOCOL_HOURS:
        raise BadInput(f"--hours is {hours}; allowed: over 0, at most {PROTOCOL_HOURS:g}")
    if not 0 <= options.seed < 2**32:
        raise BadInput(f"--seed is {options.seed}; allowed: 0 to {2**32 - 1}")
    run = Run(options.path)
    task, setup = Keywords.of(run.experiment.task, run.path), run.experiment.setup
    require_stream(run)
    setup.require_audio()
    settings = dataclasses.replace(task.detector, **given(options, DetectorSettings))
    opens = functools.partial(listening, run, options.runtime)
    clips, work = options.keywords, options.work or run.path / options.protocol
    value: dict[str, Any] = {"runtime": options.runtime, "protocol": options.protocol}
    value |= {"seed": options.seed, "words": {}}
    for word, folder in wake_word_stream.word_folders(clips, task.keywords).items():
        how = options.background, options.noise, hours, options.seed
        plan = wake_word_stream.plan(word, folder, *how)
        kept = f"{word}-{run.fingerprint(options.runtime, plan.fingerprint())}"
        protocol = Protocol(opens, setup, task.classes, word, plan, work / kept, settings)
        protocol = dataclasses.replace(protocol, posteriors=task.posteriors)
        value["words"][word] = protocol.result(say) | {"unreadable_clips": plan.unreadable}
    rates = [found["miss_rate"] for found in value["words"].values()]
    value["miss_rate"] = None if None in rates else sum(rates) / len(rates)
    answer(value, options.json, _show_protocol)
    return 0


def _show_protocol(value: dict[str, Any]) -> None:
    print(f"{value['runtime']}, Picovoice's benchmark, seed {value['seed']}")
    for word, found in value["words"].items():
        head = f"  {word}: {found['events']} recordings in {found['hours']:.2f} h: "
        if found["miss_rate"] is None:
            print(f"{head}no threshold has 1 false alarm in 10 h")
            continue
        at = found["at"]
        low, high = (100 * share for share in at["miss_rate_interval"])
        print(f"{head}missed {100 * found['miss_rate']:.1f} % at 1 false alarm in 10 h")
        print(f"    threshold {at['threshold']:.4f}: missed {at['misses']}, ", end="")
        print(f"{100 * at['miss_rate']:.1f} % ({low:.1f} to {high:.1f}); {_alarms(found | at)}")
        if found["unreadable_clips"]:
            print(f"    {found['unreadable_clips']} recordings could not be read")
    if value["miss_rate"] is not None and len(value["words"]) > 1:
        print(f"  mean of the words: missed {100 * value['miss_rate']:.1f} %")


def _show(value: dict[str, Any]) -> None:
    scene, alone = value["scene"], value["background"]
    if "second" in value:
        share = 100 * value["second"]["share_of_time"]
        print(f"{value['second']['run']} heard again {share:.2f} % of the time")
    asked = value["asked_false_alarms_per_hour"]
    print(f"{value['runtime']} on {value['split']}, {asked:g} false alarms per hour and word asked")
    for word, of in value["words"].items():
        found, missed = of["found"], _misses(of["scene"])
        print(f"  {word}: threshold {of['threshold']:.4f} ({_reason(found)}); {missed}")
        measured = of["measured"]
        print(f"    measured: {_alarms(measured)}; in speech: {_alarms(measured['speech'])}")
    print(f"  missed {scene['misses']} of {scene['events']} words: ", end="")
    print(f"{_misses(scene).partition(': ')[2]}")
    count, hours = scene["false_alarms"], scene["hours"]
    print(f"  {count} false alarms in {hours:.2f} h among the words")
    print(f"  without words, all of them together: {_alarms(alone)}")
    for line in value["negatives"]:
        print(f"    {_kind(line['kind'])}: {_alarms(line)}")
        if line["trained"]["hours"] and line["unheard"]["hours"]:
            print(f"      that training did not hear: {_alarms(line['unheard'])}")
        elif line["trained"]["hours"]:
            print("      all of it of the split that runs train on")
    if alone["hours"] < NEGATIVE_HOURS / 2:
        print(f"  {alone['hours']:.2f} h are few for a rate per hour; more: --negatives DIR")
    if scene["latency_median_s"] is not None:
        print(f"  {scene['latency_median_s']:.2f} s after a word's end (median), ", end="")
        print(f"{scene['latency_p95_s']:.2f} s (95th percentile)", end="")
        report_ms = max(of["report_ms"] for of in value["words"].values())
        print(f"; told at most {report_ms:g} ms later")


def _kind(kind: str) -> str:
    return {"speech": "running speech", "words": "clips of other words"}.get(kind, kind)


def _reason(found: dict[str, Any]) -> str:
    """What a threshold was found on."""
    where = f"{found['hours']:.2f} h" + (" of speech" if found["audio"] == "speech" else "")
    if found["by"] == "guess":
        return f"a guess: {where} without an alarm say nothing"
    how = "" if found["by"] == "count" else ", by their tail"
    return f"{found['false_alarms']} false alarms in {where}{how}"


def _misses(figures: dict[str, Any]) -> str:
    low, high = (100 * share for share in figures["miss_rate_interval"])
    text = f"missed {figures['misses']} of {figures['events']}"
    if not figures["events"]:
        return text
    return f"{text}: {100 * figures['miss_rate']:.1f} % ({low:.1f} to {high:.1f})"


def _alarms(figures: dict[str, Any]) -> str:
    """A count, and its rate with the interval."""
    count, hours = figures["false_alarms"], figures["hours"]
    if not hours:
        return "none there"
    low, high = figures["false_alarms_per_hour_interval"]
    rate = figures["false_alarms_per_hour"]
    return f"{count} false alarms in {hours:.2f} h: {rate:.1f} per hour ({low:.1f} to {high:.1f})"


def stored_settings(
    path: Path, task: "Keywords", changes: dict[str, float]
) -> tuple[dict[str, Any], str]:
    """Settings by keyword, with what was given, and where thresholds are from: "given", "stored",
    or "guess" where the run has none stored.
    """
    from aqtaudio.detection import stored
    from aqtaudio.detection.detector import by_target

    found = stored.read(path)
    try:
        settings = by_target(found or task.detector, task.keywords)
    except BadInput as error:
        raise BadInput(f"{path / stored.NAME}: {error}") from error
    origin = "given" if "threshold" in changes else "stored" if found else "guess"
    return {word: dataclasses.replace(at, **changes) for word, at in settings.items()}, origin
