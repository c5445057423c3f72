"""Experiment: everything that decides a run's numbers, as frozen dataclasses.

A config file is Python that defines `EXPERIMENT = Experiment(...)`. Dotted overlays are strict: a
path that does not exist is an error that lists the ones that do.
"""

import dataclasses
import importlib
import json
import math
import runpy
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn

from aqtaudio.compression.recipe import Recipe
from aqtaudio.data.augmentation import Augmentation
from aqtaudio.data.keywords import class_names
from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectral import LogMel, Mfcc
from aqtaudio.models.ds_cnn import DSCNN


@dataclasses.dataclass(frozen=True)
class Keywords:
    """The keyword-spotting task: `keywords`, "unknown" and "silence" in clips of `clip_ms`."""

    keywords: tuple[str, ...] = ("yes", "up", "down", "on", "off", "stop")
    clip_ms: int = 1000

    def __post_init__(self):
        class_names(self.keywords)
        if self.clip_ms < 100:
            raise BadInput(f"task.clip_ms is {self.clip_ms}; at least 100 is needed")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the logits."""
        return class_names(self.keywords)

    def clip_samples(self, sample_rate_hz: int) -> int:
        """Length of one clip."""
        return self.clip_ms * sample_rate_hz // 1000


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """AdamW with warm-up and cosine decay to zero.

    Attributes:
      steps: 0 skips the phase.
      batch_size: clips per step.
      learning_rate: its peak.
      warmup_steps: linear, from zero.
      weight_decay: decoupled, kernels only.
      label_smoothing: share of the target spread over all classes.
    """

    steps: int = 3000
    batch_size: int = 128
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-3
    label_smoothing: float = 0.1

    def __post_init__(self):
        if self.steps < 0 or self.batch_size < 1 or self.warmup_steps < 0:
            raise BadInput("optimizer: steps and warmup_steps must be >= 0, batch_size >= 1")
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 <= self.label_smoothing < 1:
            raise BadInput(
                "optimizer: learning_rate must be above 0, weight_decay >= 0, "
                "label_smoothing in [0, 1)"
            )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run.

    Training has a float phase (`optimizer`) and, unless `recipe.mode` is "float", a quantized one
    (`finetune`) that starts from the folded, calibrated float model. `init_from` is a run directory
    whose float model the float phase starts from; with `optimizer.steps` 0 it is taken as it is.

    Attributes:
      calibration_batches: training batches that activation ranges are taken from.
      seed: of initial weights, batches and augmentation.
      evaluate_every, checkpoint_every: steps; they do not change the numbers.
    """

    model: nn.Module = DSCNN()
    task: Keywords = Keywords()
    frontend: LogMel | Mfcc = Mfcc()
    augmentation: Augmentation = Augmentation()
    recipe: Recipe = Recipe()
    optimizer: Optimizer = Optimizer()
    finetune: Optimizer = Optimizer(steps=600, learning_rate=5e-4, warmup_steps=30)
    calibration_batches: int = 16
    init_from: str | None = None
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self):
        for name in ("calibration_batches", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}; at least 1 is needed")
        if not 0 <= self.seed < 2**31:
            raise BadInput(f"seed is {self.seed}; allowed: 0 to 2147483647")

    @property
    def clip_samples(self) -> int:
        """Length of one clip."""
        return self.task.clip_samples(self.frontend.sample_rate_hz)

    @property
    def feature_shape(self) -> tuple[int, int]:
        """(frames, features) of one clip."""
        return self.frontend.feature_shape(self.clip_samples)

    def built_model(self) -> nn.Module:
        """The model with as many outputs as the task has classes."""
        return self.model.clone(classes=len(self.task.classes))


NOT_IDENTITY = ("evaluate_every", "checkpoint_every")
HIDDEN = ("parent", "name")  # of Flax modules


def identity(experiment: Experiment) -> dict[str, Any]:
    """What changes a run's numbers, as JSON: the part that its id is a hash of."""
    return {k: v for k, v in to_json(experiment).items() if k not in NOT_IDENTITY}


# --- config files and overlays -------------------------------------------------------------------


def load_config(path: Path) -> Experiment:
    """The `EXPERIMENT` of a config file (Python), or a saved config.json."""
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such config file")
    if Path(path).suffix == ".json":
        return load_json(Path(path))
    try:
        experiment = runpy.run_path(str(path)).get("EXPERIMENT")
    except BadInput:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's file raises
        raise BadInput(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(experiment, Experiment):
        raise BadInput(f"{path}: a config file must define EXPERIMENT = Experiment(...)")
    return experiment


def overlay(experiment: Any, changes: Mapping[str, Any]) -> Any:
    """A copy with dotted paths changed; strings are read as the type of the field.

    Raises:
      BadInput: an unknown path (the message lists the valid ones) or a value that does not fit.
    """
    for path, value in changes.items():
        experiment = _set(experiment, path.split("."), value, path)
    return experiment


def settings(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every dotted path below `value` and what stands there."""
    result = {}
    for name, child in _children(value).items():
        path = f"{prefix}{name}"
        if _children(child):
            result |= settings(child, f"{path}.")
        else:
            result[path] = child
    return result


def _children(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        names = (f.name for f in dataclasses.fields(value) if f.init)
        hidden = HIDDEN if isinstance(value, nn.Module) else ()
        return {name: getattr(value, name) for name in names if name not in hidden}
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(item) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def _set(value: Any, parts: list[str], new: Any, path: str) -> Any:
    children = _children(value)
    if parts[0] not in children:
        known = ", ".join(children) or "nothing below it"
        parent = path.rsplit(".", len(parts))[0] if len(parts) < path.count(".") + 1 else ""
        where = f"{parent!r} has" if parent else "an experiment has"
        raise BadInput(f"unknown setting {path!r}: {where} {known}")
    old = children[parts[0]]
    if len(parts) > 1:
        changed = _set(old, parts[1:], new, path)
    elif isinstance(value, tuple):
        changed = _converted(new, type(old), path)
    else:
        changed = _converted(new, typing.get_type_hints(type(value))[parts[0]], path)
    if isinstance(value, tuple):
        index = int(parts[0])
        return (*value[:index], changed, *value[index + 1 :])
    if isinstance(value, nn.Module):
        return value.clone(**{parts[0]: changed})
    return dataclasses.replace(value, **{parts[0]: changed})


def _converted(value: Any, hint: Any, path: str) -> Any:
    """`value` as the annotated type; strings come from the command line."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    for option in sorted(options, key=lambda option: option is not type(None)):
        try:
            return _as(value, option)
        except (ValueError, TypeError, OverflowError):
            continue
    allowed = " or ".join(_readable(option) for option in options)
    raise BadInput(f"setting {path!r} cannot be {value!r}; allowed: {allowed}")


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _as(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if kind is type(None):
        if value is None or value == "none":
            return None
        raise ValueError
    if origin is typing.Literal:
        if value in typing.get_args(kind):
            return value
        raise ValueError
    if kind is bool:
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}[str(value).lower()] if value in BOOLEANS else _no()
    if kind in (int, float):
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        number = kind(value)
        return number if kind is int or math.isfinite(number) else _no()
    if kind is tuple or origin is tuple:
        return _as_tuple(value, typing.get_args(kind))
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise ValueError


BOOLEANS = ("true", "false", "True", "False")


def _no() -> typing.NoReturn:
    raise ValueError


def _as_tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else list(value)
    if not kinds or kinds[-1] is Ellipsis:
        kinds = (kinds[0] if kinds else str,) * len(items)
    if len(kinds) != len(items):
        raise ValueError
    return tuple(_as(item, kind) for item, kind in zip(items, kinds, strict=True))


def _readable(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(repr(option) for option in typing.get_args(kind))
    if kind is type(None):
        return "none"
    return getattr(kind, "__name__", str(kind)) if not typing.get_origin(kind) else str(kind)


# --- JSON ----------------------------------------------------------------------------------------


def to_json(value: Any) -> Any:
    """Plain JSON; dataclasses carry their type as "module:Class"."""
    if dataclasses.is_dataclass(value):
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        return {"type": kind} | {name: to_json(child) for name, child in _children(value).items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return value


def from_json(value: Any) -> Any:
    """What `to_json` wrote. Raises BadInput for types or fields that this version does not have."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    fields = {key: from_json(child) for key, child in value.items() if key != "type"}
    try:
        module, _, name = value["type"].partition(":")
        kind = getattr(importlib.import_module(module), name)
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise TypeError(f"{value['type']} is not a dataclass")
        hints = typing.get_type_hints(kind)
        for key in fields.keys() & hints.keys():
            fields[key] = _converted(fields[key], hints[key], f"{name}.{key}")
        return kind(**fields)
    except (KeyError, ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"config: {error}") from error


def save_json(experiment: Experiment, path: Path) -> None:
    """Writes config.json, whole or not at all."""
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(json.dumps(to_json(experiment), indent=1) + "\n")
    temporary.replace(path)


def load_json(path: Path) -> Experiment:
    """Reads config.json."""
    try:
        experiment = from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        raise BadInput(f"{path.parent}: not a run (no {path.name})") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable JSON ({error})") from error
    if not isinstance(experiment, Experiment):
        raise BadInput(f"{path}: not an experiment")
    return experiment
