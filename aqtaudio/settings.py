"""Settings as nested frozen dataclasses: strict dotted overlays, and JSON.

A path that does not exist is an error that lists the ones that do.
"""

import dataclasses
import importlib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from aqtaudio.errors import BadInput

HIDDEN = ("parent", "name")  # of Flax modules

MOVED: Mapping[str, str] = {
    "aqtaudio.compression.recipe:LowRank": "aqtaudio.recipe:LowRank",
    "aqtaudio.compression.recipe:Recipe": "aqtaudio.recipe:Recipe",
    "aqtaudio.compression.recipe:Rule": "aqtaudio.recipe:Rule",
    "aqtaudio.enhancement.filtering:Filtering": "aqtaudio.tasks.enhancement.filtering:Filtering",
    "aqtaudio.enhancement.loss:SpectralLoss": "aqtaudio.tasks.enhancement.loss:SpectralLoss",
    "aqtaudio.enhancement.mixing:Mixing": "aqtaudio.data.mixing:Mixing",
    "aqtaudio.enhancement.task:Enhancement": "aqtaudio.tasks.enhancement.task:Enhancement",
    "aqtaudio.experiment:Keywords": "aqtaudio.tasks.keywords.task:Keywords",
}
"""The name of a class in JSON is "module:Class" of where it was first written, for ever: run ids
are hashes of it. Of classes that have moved since, this tells where they are. A class that moves
again keeps its name on the left."""
_FIRST = {now: first for first, now in MOVED.items()}


def overlay(experiment: Any, changes: Mapping[str, Any]) -> Any:
    """A copy with dotted paths changed; strings are read as the type of the field.

    Settings that depend on each other are judged when all are changed, so their order is free; a
    whole value (`model`) comes before the settings in it (`model.width`).

    Raises:
      BadInput: an unknown path (the message lists the valid ones) or a value that does not fit.
    """
    return _changed(experiment, [(path.split("."), value) for path, value in changes.items()], "")


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


def differences(theirs: Any, ours: Any, there: str = "there", here: str = "here") -> str:
    """Every path whose value differs, in words; "" where none does."""
    if type(theirs) is not type(ours):
        return f"{type(theirs).__name__} {there}, {type(ours).__name__} {here}"
    values = settings(theirs)
    return "; ".join(
        f"{path} is {values[path]!r} {there}, {value!r} {here}"
        for path, value in settings(ours).items()
        if values[path] != value
    )


def _children(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        names = (f.name for f in dataclasses.fields(value) if f.init)
        hidden = HIDDEN if isinstance(value, nn.Module) else ()
        return {name: getattr(value, name) for name in names if name not in hidden}
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(item) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def _changed(value: Any, changes: list[tuple[list[str], Any]], prefix: str) -> Any:
    """`value`, which stands at the path `prefix`, with changes at (names below it, new value)."""
    children = _children(value)
    groups: dict[str, list[tuple[list[str], Any]]] = {}
    for names, given in changes:
        groups.setdefault(names[0], []).append((names[1:], given))
    new = {}
    for name, group in groups.items():
        path = prefix + name
        if name not in children:
            known = ", ".join(children) or "nothing below it"
            where = f"{prefix[:-1]!r} has" if prefix else "an experiment has"
            raise BadInput(f"unknown setting {'.'.join([path, *group[0][0]])!r}: {where} {known}")
        child = children[name]
        for names, given in group:
            if not names:
                child = _converted(given, _hint(value, name), path)
        deeper = [change for change in group if change[0]]
        new[name] = _changed(child, deeper, f"{path}.") if deeper else child
    if isinstance(value, tuple):
        return tuple(new.get(str(index), item) for index, item in enumerate(value))
    if isinstance(value, nn.Module):
        return value.clone(**new)
    return dataclasses.replace(value, **new)


def _hint(value: Any, name: str) -> Any:
    if isinstance(value, tuple):
        return type(value[int(name)])
    return typing.get_type_hints(type(value))[name]


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


def added(default: Any) -> Any:
    """A field that was added after studies had been run: see `to_json`."""
    return dataclasses.field(default=default, metadata={"added": True})


def to_json(value: Any, added_defaults: bool = True) -> Any:
    """Plain JSON; dataclasses carry their type as "module:Class" (see `MOVED`).

    `added_defaults` False leaves out fields made by `added` that hold their default: what a run is
    told apart by must not change when a setting is added.
    """
    if dataclasses.is_dataclass(value):
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        skipped = set() if added_defaults else _added_defaults(value)
        kept = {name: child for name, child in _children(value).items() if name not in skipped}
        fields = {name: to_json(child, added_defaults) for name, child in kept.items()}
        return {"type": _FIRST.get(kind, kind)} | fields
    if isinstance(value, (tuple, list)):
        return [to_json(item, added_defaults) for item in value]
    return value


def _added_defaults(value: Any) -> set[str]:
    fields = (field for field in dataclasses.fields(value) if field.metadata.get("added"))
    return {field.name for field in fields if getattr(value, field.name) == field.default}


def from_json(value: Any) -> Any:
    """What `to_json` wrote. Raises BadInput for types or fields that this version does not have."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    fields = {key: from_json(child) for key, child in value.items() if key != "type"}
    try:
        module, _, name = MOVED.get(value["type"], value["type"]).partition(":")
        kind = getattr(importlib.import_module(module), name)
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise TypeError(f"{value['type']} is not a dataclass")
        hints = typing.get_type_hints(kind)
        for key in fields.keys() & hints.keys():
            fields[key] = _converted(fields[key], hints[key], f"{name}.{key}")
        return kind(**fields)
    except (KeyError, ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"config: {error}") from error
