"""A run's wake words as pairs that ESPHome's micro_wake_word loads: a file and its manifest."""

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder, write, write_json
from aqtaudio.firmware import esp_arena
from aqtaudio.frontends.named import NAMED
from aqtaudio.program.check import check
from aqtaudio.program.esphome import esphome_program, esphome_tflite
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.runs.network import interpret, require_stream
from aqtaudio.runs.parity import random_codes
from aqtaudio.runs.run import Run
from aqtaudio.settings import differences

FRONT_END = "micro-esphome"
FEATURE_STEP_MS = 10
MINIMUM_VERSION = "2024.7.0"
"""The first ESPHome that reads manifests of version 2."""
RESERVED = "vad"
"""A name that the component gives to voice activity."""
COMPARED_BLOCKS = 512
HIGHEST_BYTE = 255


@dataclasses.dataclass(frozen=True)
class Cutoff:
    """When a word's probabilities are a detection.

    Attributes:
      level: bytes; their mean over the window has to be above it. 0 to 254.
      window_blocks: how many of the latest are averaged.
    """

    level: int
    window_blocks: int

    @property
    def share(self) -> float:
        """As the manifest states it: the component multiplies by 255 and drops the fraction."""
        return round((self.level + 0.5) / 255, 4)


def cutoff(threshold: float, window_blocks: int) -> Cutoff:
    """Of a threshold for smoothed probabilities: what reaches it is above the level."""
    level = math.ceil(round(256 * threshold, 6)) - 1
    return Cutoff(min(max(level, 0), HIGHEST_BYTE - 1), window_blocks)


@dataclasses.dataclass(frozen=True)
class Maker:
    """What a manifest says of where a model is from.

    Attributes:
      author: a name.
      website: an address, or "".
      languages: that it was trained on, as two letters.
    """

    author: str = "unknown"
    website: str = ""
    languages: tuple[str, ...] = ("en",)

    def __post_init__(self):
        if not self.author or not self.languages:
            raise BadInput("a manifest names an author and at least one language")
        if self.website and not re.match(r"https?://\S+$", self.website):
            raise BadInput(f"website {self.website!r}; allowed: an http or https address")


def require_servable(run: Run) -> Mapping[str, int]:
    """The words that can be served, and the place of each among the logits.

    Raises BadInput, saying what is allowed, for what ESPHome cannot serve of a run.
    """
    experiment = run.experiment
    words = experiment.task.words
    if not words:
        raise BadInput(f"{run.path}: ESPHome serves wake words; this run listens for none")
    require_stream(run)
    changed = differences(NAMED[FRONT_END], experiment.frontend, "in ESPHome", "in the run")
    if changed:
        raise BadInput(
            f"{run.path}: ESPHome computes features of its own; needed: a run trained with the "
            f"front end {FRONT_END} (configs/wake_words_esphome.py). {changed}"
        )
    program, scale = run.program, experiment.frontend.features_scale
    edge = program.edges[program.inputs[0]]
    if (edge.scale, edge.zero_point) != (scale, 0):
        raise BadInput(
            f"{run.path}: its input edge has step {edge.scale:.6g} and zero point "
            f"{edge.zero_point}; needed: {scale} and 0, those of the front end's codes (recipe "
            "without learn_ranges)"
        )
    if RESERVED in words:
        raise BadInput(f"{run.path}: ESPHome takes a model called {RESERVED!r} for something else")
    return words


def word_programs(run: Run) -> dict[str, Program]:
    """By word, the program whose output code + 128 is the word's byte. BadInput: not servable."""
    rivals = run.experiment.task.rivals
    return {
        word: esphome_program(run.program, place, rivals)
        for word, place in require_servable(run).items()
    }


def export_esphome(
    run: Run, out: Path, cutoffs: Mapping[str, Cutoff], maker: Maker = Maker()
) -> Path:
    """Writes WORD.tflite and WORD.json of each word.

    Raises:
      BadInput: the run cannot be served; says why.
      RuntimeError: TFLite Micro computes other bytes than the program.
    """
    words = require_servable(run)
    stems = {word: re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") for word in words}
    if len(set(stems.values())) < len(stems) or not all(stems.values()):
        raise BadInput(f"{run.path}: {', '.join(words)} do not make file names of their own")
    with new_folder(out) as folder:
        for word, place in words.items():
            how = run.program, place, run.experiment.task.rivals
            model, program = esphome_tflite(*how), esphome_program(*how)
            arena_bytes = _checked(model, program, word)
            name = f"{stems[word]}.tflite"
            write(folder / name, model)
            value = manifest(word, name, cutoffs[word], arena_bytes, maker)
            write_json(folder / f"{stems[word]}.json", value)
    return out


def manifest(
    word: str, model: str, cutoff: Cutoff, arena_bytes: int, maker: Maker
) -> dict[str, Any]:
    """A manifest of version 2.

    Args:
      word: as it is told to people.
      model: the name of the file beside it.
      cutoff: when it is a detection.
      arena_bytes: that the file needs.
      maker: where it is from.
    """
    website = {"website": maker.website} if maker.website else {}
    return {
        "type": "micro",
        "wake_word": word.replace("_", " "),
        "author": maker.author,
        **website,
        "model": model,
        "trained_languages": list(maker.languages),
        "version": 2,
        "micro": {
            "probability_cutoff": cutoff.share,
            "feature_step_size": FEATURE_STEP_MS,
            "sliding_window_size": cutoff.window_blocks,
            "tensor_arena_size": arena_bytes,
            "minimum_esphome_version": MINIMUM_VERSION,
        },
    }


def _checked(model: bytes, program: Program, word: str) -> int:
    """The arena of a file that breaks nothing and computes the program's bytes."""
    report = check(model, target="esphome")
    wrong = [*report.reasons, *report.targets["esphome"]]
    if wrong or report.arena_bytes is None:
        raise BadInput(f"{word}: {'; '.join(wrong)}")
    codes = random_codes(program, COMPARED_BLOCKS, seed=0)
    ours = Executor(program)(codes).astype(int) + 128
    frames = codes.reshape(len(codes), codes.shape[1], -1)
    differ = np.count_nonzero(interpret(model, frames, "micro") != ours)
    if differ:
        raise RuntimeError(f"{word}: {differ} of {len(codes)} bytes differ in TFLite Micro")
    return esp_arena.stated_bytes(program, report.arena_bytes)
