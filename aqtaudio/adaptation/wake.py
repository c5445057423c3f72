"""From a phrase to a detector: voices say it and what sounds almost like it, a head on the frozen
speech encoder learns it against hours of other sound, and each phrase gets a threshold. Where the
encoder is too large for a device, a small detector that stands alone learns from both.

Every step goes on where it was stopped.
"""

import dataclasses
import functools
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.adaptation.thresholds import kept, run_clips
from aqtaudio.adaptation.wake_page import markdown
from aqtaudio.data import manifest
from aqtaudio.data.labels import SILENCE, class_of, is_word_label
from aqtaudio.data.manifest import fingerprint
from aqtaudio.data.mixing import Mixing
from aqtaudio.data.speech_engine import Engine
from aqtaudio.data.speech_synthesis import SpeechSettings, speak_corpus
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.detection import stored
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.files import write
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.runs.join import join
from aqtaudio.runs.network import listening, network
from aqtaudio.runs.renew import measured
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.listening import Trial, detect
from aqtaudio.tasks.keywords.negatives import negatives
from aqtaudio.tasks.keywords.spotting import Spotting

SPLIT = "val"
"""Of voices and of other sound, on which thresholds are found."""
HIDDEN_PER_PHRASE = 8
LEAST_TAKES = 24
LEVELS_DBFS = (-50.0, -40.0, -30.0, -20.0, -10.0)
SNRS_DB = (20.0, 10.0, 5.0, 0.0)
CLEAN = Mixing(
    snr_db=(30.0, 30.0), noise_only_probability=0.0, speech_only_probability=1.0,
    reverb_probability=0.0, band_limit_probability=0.0, level_dbfs=(-30.0, -30.0),
    level_step_probability=0.0, clipping_probability=0.0, speech_drift_db=0.0,
)  # fmt: skip
DETECTOR, ALONE, PAGE = "detector", "alone", "wake.md"
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class WakeSettings:
    """How a detector is made.

    Attributes:
      takes: clips of each phrase, by different voices as far as they go.
      neighbour_takes: of each of its neighbours.
      rate: false alarms per hour that each phrase's threshold is found for.
      hours: of sound without the phrases that it is found on, as far as folders have it.
      file_bytes: what a detector that stands alone may take.
    """

    takes: int = 200
    neighbour_takes: int = 4
    rate: float = 1.0
    hours: float = 3.0
    file_bytes: int = 65536

    def __post_init__(self):
        if self.takes < LEAST_TAKES:
            raise BadInput(
                f"--takes is {self.takes}; allowed: at least {LEAST_TAKES}, as voices are shared "
                "among training and validation"
            )


@dataclasses.dataclass(frozen=True)
class Sources:
    """What is heard.

    Attributes:
      phrases: to be detected.
      neighbour_of: what sounds almost like one of them, and like which.
      engine: says both.
      recordings: manifest folders of people who say the phrases; may be none.
      negatives: manifest folders of speech, other words, noise and music.
    """

    phrases: Sequence[SpokenText]
    neighbour_of: Mapping[SpokenText, str]
    engine: Engine
    recordings: Sequence[Path]
    negatives: Sequence[Path]


def wake(
    sources: Sources,
    experiment: Experiment,
    out: Path,
    settings: WakeSettings | None = None,
    say: Say = lambda text: None,
    progress: Callable[[int, int, int], None] | None = None,
    alone: Experiment | None = None,
) -> tuple[Run, dict[str, Any]]:
    """Makes the folder `out`: voices, the head's run, and the detector, a run as any other.

    Args:
      sources: what is heard.
      experiment: of the head, a spotting run; its words and its width follow the phrases.
      out: folder, new or of the same call.
      settings: `WakeSettings()` unless told.
      say: told what is being done.
      progress: of speaking, as `speak_corpus` calls it.
      alone: of a detector that stands alone, a spotting run that learns from the head, joined with
        its encoder; None: that is the detector.

    Returns:
      The detector, and what its page tells.

    Raises:
      BadInput: as the steps do.
    """
    settings, begun = settings or WakeSettings(), time.monotonic()
    words = tuple(each.text for each in sources.phrases)
    _require_own(out)
    _require_sound([*sources.recordings, *sources.negatives])
    experiment = _for(experiment, words)
    if alone is not None:
        alone = _that_fits(_for(alone, words), settings.file_bytes)
    steps = 4 if alone is None else 5
    if hasattr(experiment.model, "hidden"):
        experiment = overlay(experiment, {"model.hidden": HIDDEN_PER_PHRASE * len(words)})
    say(f"1 of {steps}: {sources.engine.name} says {', '.join(words)}")
    voices = _spoken(sources, out, settings, progress)
    folders = [*voices, *sources.recordings, *sources.negatives]
    say(f"2 of {steps}: features and training")
    head = _trained(experiment, folders, out / "head", say)
    say(f"3 of {steps}: one program")
    detector = _served(head, out / DETECTOR)
    if alone is not None:
        say(f"4 of {steps}: a detector that stands alone, of at most {settings.file_bytes:,} bytes")
        taught = dataclasses.replace(Spotting.of(alone.task), teacher=str(detector.path))
        head = _trained(dataclasses.replace(alone, task=taught), folders, out / ALONE, say)
        detector = head
    say(f"{steps} of {steps}: thresholds for {settings.rate:g} false alarms per hour")
    found = _thresholds(detector, folders, settings, say)
    stored.write(detector.path, kept(found))
    value = {
        "phrases": words,
        "voices": sources.engine.name,
        "detector": str(detector.path),
        "file_bytes": len(detector.model),
        "detect": found,
        "scenes": _scenes(head, folders),
        "conditions": _conditions(head, folders, found),
        "minutes": (time.monotonic() - begun) / 60,
    }
    write(out / PAGE, markdown(value))
    return detector, value


def _for(experiment: Experiment, words: tuple[str, ...]) -> Experiment:
    changed = dataclasses.replace(Spotting.of(experiment.task), keywords=words)
    return dataclasses.replace(experiment, task=changed)


def _that_fits(alone: Experiment, file_bytes: int) -> Experiment:
    """It, or BadInput before minutes of training where its file would be too large."""
    needed = measured(alone, {})["file_bytes"]
    if needed > file_bytes:
        raise BadInput(
            f"--size {file_bytes}: a detector of these settings takes {needed:,} bytes; allowed: "
            "as many, or a config of a smaller model"
        )
    return alone


def _require_sound(folders: Sequence[Path]) -> None:
    """Before minutes of speaking: there is sound to learn against and to find thresholds on."""
    sounds = [row for row in manifest.read_all(folders) if not is_word_label(row.label)]
    where = ", ".join(map(str, folders))
    for split in ("train", SPLIT):
        if not any(row.split == split for row in sounds):
            raise BadInput(f"--negatives: no speech or noise in split {split!r} of {where}")
    if not any(row.split == SPLIT and class_of(row.label, ()) == SILENCE for row in sounds):
        raise BadInput(
            f"--negatives: no noise in split {SPLIT!r} of {where}, for thresholds; needed: "
            "recordings labelled noise:*, silence or _silence_"
        )


def _require_own(out: Path) -> None:
    """Raises BadInput for a folder that holds what no call of `wake` put there."""
    held = any(out.iterdir()) if out.is_dir() else out.exists()
    if held and not (out / "phrases").is_dir():
        raise BadInput(f"{out} is there already; allowed: a new folder, or one that this began")


def _spoken(
    sources: Sources,
    out: Path,
    settings: WakeSettings,
    progress: Callable[[int, int, int], None] | None,
) -> list[Path]:
    phrases = SpeechSettings(takes=settings.takes)
    found = [speak_corpus(out / "phrases", sources.phrases, sources.engine, phrases, 0, progress)]
    near = list(sources.neighbour_of)
    if near:
        other = SpeechSettings(takes=settings.neighbour_takes, seed=1)
        how = sources.engine, other, 0, progress, sources.neighbour_of
        found.append(speak_corpus(out / "neighbours", near, *how))
    return found


def _trained(experiment: Experiment, folders: Sequence[Path], out: Path, say: Say) -> Run:
    """The head; one that is there must be of the same settings and recordings."""
    if not (out / "row.json").exists():
        return train(experiment, folders, out, say)
    heard = {made["hash"] for made in json.loads((out / "row.json").read_text())["data"]}
    if Run(out).experiment != experiment or heard != set(map(fingerprint, folders)):
        raise BadInput(f"{out} was trained with other settings or recordings; name another --out")
    return Run(out)


def _served(head: Run, out: Path) -> Run:
    """What a device runs: of a head on an encoder, both in one."""
    if not isinstance(head.experiment.frontend, Embedded):
        return head
    if out.exists():
        shutil.rmtree(out)
    return join(head, out)


def _thresholds(
    detector: Run, folders: Sequence[Path], settings: WakeSettings, say: Say
) -> dict[str, Any]:
    task, setup = Spotting.of(detector.experiment.task), detector.experiment.setup
    trial = Trial(functools.partial(listening, detector, "integer"), task, setup, task.detector)
    data, items = run_clips(detector, task, folders, SPLIT)
    without = negatives(folders, (), task.keywords, SPLIT, settings.hours)
    if not without:
        raise BadInput("no recordings without the phrases; needed: --negatives DIR with speech")
    return detect(trial, data, items, without, SPLIT, settings.rate, say)


def _scenes(head: Run, folders: Sequence[Path]) -> dict[str, Any]:
    """Recall, and what else rings, in the head's own validation scenes."""
    task, setup = Spotting.of(head.experiment.task), head.experiment.setup
    data = task.load(folders, setup, (SPLIT,))
    with network(head, "integer") as opened:
        return task.scores(opened, data, head.items(data, SPLIT), setup)["words"]


def _conditions(
    head: Run, folders: Sequence[Path], found: Mapping[str, Any]
) -> dict[str, dict[str, dict[str, float]]]:
    """Share of the phrases' clips that pass the thresholds, by level and by noise, by phrase."""
    thresholds = {word: of["threshold"] for word, of in found["words"].items()}
    mixings = {f"{level:g} dBFS": dict(level_dbfs=(level, level)) for level in LEVELS_DBFS}
    noisy = {"speech_only_probability": 0.0}
    mixings |= {f"{snr:g} dB over noise": noisy | {"snr_db": (snr, snr)} for snr in SNRS_DB}
    task, setup = Spotting.of(head.experiment.task), head.experiment.setup
    data, shares = task.load(folders, setup, (SPLIT,)), {}
    items = [item for item in data.evaluation_list(SPLIT) if item.label in thresholds]
    with network(head, "integer") as opened:
        for name, changes in mixings.items():
            heard = data.mixed(dataclasses.replace(CLEAN, **changes))
            shares[name] = task.found(opened, heard, items, setup, thresholds)
    return shares
