"""A keyword run for another language or accent, from a few recordings of each word.

The last layers of the run's float model are trained on augmented recordings until those that are
held out are no better recognised; then the run's recipe again, with the same layers.
"""

import dataclasses
import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.adaptation import few_shot_report
from aqtaudio.adaptation.keyword_scores import scores
from aqtaudio.data import manifest
from aqtaudio.data.augmentation import Augmentation
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.runs.evaluate import served
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.keywords import few_recordings
from aqtaudio.tasks.keywords.few_recordings import held_out
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.model_network import ModelNetwork
from aqtaudio.training.preflight import parent_settings, require_trainable
from aqtaudio.training.restore import fresh, inherited
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten

FLOAT_PHASE = Optimizer(
    steps=600, batch_size=32, learning_rate=3e-3, warmup_steps=20, label_smoothing=0.1, patience=8
)
QUANTIZED_PHASE = dataclasses.replace(
    FLOAT_PHASE, steps=200, learning_rate=5e-4, warmup_steps=10, patience=4
)
EVALUATE_EVERY = 25
AT_LEAST = {
    "time_shift_ms": 100.0,
    "speed_change": 0.2,
    "gain_db": 10.0,
    "noise_probability": 0.8,
    "noise_max_volume": 0.1,
    "spec_time_masks": 2,
    "spec_time_max_frames": 10,
    "spec_frequency_masks": 2,
    "spec_frequency_max_bands": 5,
}
"""Of the augmentation: few recordings need more of it than a corpus does."""


@dataclasses.dataclass(frozen=True)
class FewShot:
    """What is asked for.

    Attributes:
      words: labels of the manifest: the commands.
      recordings: per command, of which `held_out` are for early stopping.
      draws: how often, with other recordings each time.
      seed: of draws and training.
      layers: those that are trained, a regular expression on their paths; None: the last ones.
    """

    words: tuple[str, ...]
    recordings: int = 10
    draws: int = 1
    seed: int = 0
    layers: str | None = None

    def __post_init__(self):
        if self.draws < 1:
            raise BadInput(f"draws is {self.draws}; at least 1 is needed")


def adapt(
    run: Run, folders: Sequence[Path], settings: FewShot, out: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Adapts `run`; what was killed goes on when it is asked for again.

    Writes out/draw_K (runs), out/recordings/draw_K (what they were trained on: manifest folders,
    whose split "test" is split "val" of `folders`), adaptation.json and adaptation.md.

    Returns:
      What `adapt --json` prints. Accuracies are those of split "val", in integers (of a float run
      in floats): "accuracy" of all classes, "accuracy_commands" of the commands' recordings, each
      as {"mean", "std" (null for one draw), "min", "max"} over draws; "before" with the logits
      that training starts from: chance, where the run has other words.

    Raises:
      BadInput: too few recordings, layers that the model does not have, or a run without its float
        checkpoint; nothing is written then.
    """
    Keywords.of(run.experiment.task)
    rows = manifest.read_all(folders)
    settings = dataclasses.replace(settings, layers=settings.layers or last_layers(run))
    experiments = [experiment_of(run, settings, number) for number in range(settings.draws)]
    drawn = [
        few_recordings.draw(rows, settings.words, settings.recordings, settings.seed, number)
        for number in range(settings.draws)
    ]
    require_trainable(experiments[0])
    if out.exists() and not (out.is_dir() and _is_ours(out)):
        raise BadInput(f"{out} is not empty and holds no adaptation; name a new folder")
    draws = []
    for number, (experiment, recordings) in enumerate(zip(experiments, drawn, strict=True)):
        data = out / "recordings" / f"draw_{number}"
        few_recordings.write(recordings, data)
        adapted = train(experiment, [data], out / f"draw_{number}", say)
        facts = {"draw": number, "run": str(adapted.path), "mismatches": mismatches(adapted)}
        draws.append(facts | _scores(run, adapted, data))
        after = draws[-1]["after"]["accuracy_commands"]
        say(f"draw {number}: {after:.4f} of the commands' recordings")
    value = _summary(run, folders, settings, draws)
    few_shot_report.write(value, out)
    return value


def experiment_of(run: Run, settings: FewShot, number: int) -> Experiment:
    """One draw's: the run's own, with the words as its task and few layers to train."""
    base = run.experiment
    float_phase, quantized = (
        dataclasses.replace(phase, trains=settings.layers)
        for phase in (FLOAT_PHASE, QUANTIZED_PHASE)
    )
    augmentation = base.augmentation
    if base.frontend.takes_audio:
        augmentation = stronger(augmentation)
    if base.finetune.steps == 0:  # post-training quantization stays that
        quantized = dataclasses.replace(quantized, steps=0)
    return dataclasses.replace(
        base,
        task=Keywords.of(base.task).for_words(settings.words),
        augmentation=augmentation,
        optimizer=float_phase,
        finetune=quantized,
        init_from=str(run.path),
        init_differs=("task",),
        seed=settings.seed + number,
        evaluate_every=EVALUATE_EVERY,
        checkpoint_every=4 * EVALUATE_EVERY,
    )


def stronger(augmentation: Augmentation) -> Augmentation:
    """At least AT_LEAST of everything."""
    changes = {name: max(least, getattr(augmentation, name)) for name, least in AT_LEAST.items()}
    return dataclasses.replace(augmentation, **changes)


def last_layers(run: Run) -> str:
    """The pattern of the later half of the layers that have parameters, in the model's order.

    The logits alone are too few for another language: 54 % of a MatchboxNet's Arabic commands,
    where the last three layers reach 88 % and half of them 90 % (one draw of ten recordings each,
    108 clips: the last two are not told apart).
    """
    names = list(flatten(fresh(run.experiment)["params"]))
    return "|".join(re.escape(name) for name in names[len(names) - len(names) // 2 :])


def mismatches(run: Run) -> int | None:
    """Integers that TFLite Micro computed differently; None for a float run."""
    row = json.loads((run.path / "row.json").read_text())
    return row["parity"]["mismatches"] if "parity" in row else None


def _is_ours(out: Path) -> bool:
    return (out / "recordings").is_dir() or not any(out.iterdir())


def _scores(run: Run, adapted: Run, data_folder: Path) -> dict[str, Any]:
    """Before and after, on the same clips."""
    experiment = adapted.experiment
    data = adapted.data([data_folder], ("test",))
    evaluation: Any = data.evaluation_arrays(data.evaluation_list("test"))
    if knows_the_words(run, experiment):
        before = scores(run, evaluation, served(run))
    else:
        before = _untrained(experiment, evaluation)
    after = scores(adapted, evaluation, served(run))
    metrics = {"before": before, "after": after}
    return {name: value | _of_commands(value) for name, value in metrics.items()}


def knows_the_words(run: Run, experiment: Experiment) -> bool:
    """Whether the run's logits are the new task's: the same words, in another accent."""
    return experiment.task.answers_like(run.experiment.task)


def _untrained(experiment: Experiment, evaluation: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Figures of the float model that training starts from."""
    variables = inherited(experiment, parent_settings(experiment))
    network = ModelNetwork(experiment.built_model(), variables, Floating(), experiment.setup)
    return Keywords.of(experiment.task).scores_of(network, evaluation, experiment.setup)


def _of_commands(metrics: dict[str, Any]) -> dict[str, Any]:
    counts = np.asarray(metrics["confusion"]["counts"])[:-2]
    right = int(np.trace(counts[:, : len(counts)]))
    return {"accuracy_commands": right / int(counts.sum()), "commands": int(counts.sum())}


def _summary(
    run: Run, folders: Sequence[Path], settings: FewShot, draws: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    count = settings.recordings
    confusions = [draw["after"]["confusion"] for draw in draws]
    total = np.sum([confusion["counts"] for confusion in confusions], axis=0)
    classes = confusions[0]["classes"]
    return {
        "run": str(run.path),
        "data": ", ".join(map(str, folders)),
        "words": list(settings.words),
        "recordings": count,
        "held_out": held_out(count),
        "seed": settings.seed,
        "layers": settings.layers,
        "runtime": served(run),
        "n": int(np.sum(confusions[0]["counts"])),
        "commands": draws[0]["after"]["commands"],
        "chance": 1 / len(classes),
        "knows_the_words": list(Keywords.of(run.experiment.task).classes) == classes,
        "before": _spreads(draws, "before"),
        "after": _spreads(draws, "after"),
        "confusion": {"classes": classes, "counts": total.tolist()},
        "draws": list(draws),
    }


def _spreads(draws: Sequence[dict[str, Any]], when: str) -> dict[str, Any]:
    names = ("accuracy_commands", "accuracy")
    return {name: _spread([draw[when][name] for draw in draws]) for name in names}


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "min": min(values),
        "max": max(values),
    }
