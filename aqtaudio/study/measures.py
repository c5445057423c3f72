"""What a row says of its run: qualities, costs, and how they are called."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aqtaudio.errors import BadInput

Row = Mapping[str, object]

AXIS_LABELS: Mapping[str, str] = {
    "file_bytes": "model file, bytes",
    "arena_bytes": "tensor arena (RAM), bytes",
    "weight_bytes": "weights, bytes",
    "params": "parameters",
    "macs": "multiply-accumulates per inference",
    "bitops": "bit operations per inference",
    "linear_cost": "linear cost per inference: MACs x wider operand's bits",
    "macs_per_second": "multiply-accumulates per second of a stream",
    "vela_cycles": "Ethos-U cycles per inference (Vela's estimate)",
}
COSTS = tuple(AXIS_LABELS)
"""Of one call: a clip, or a block of a stream. Per second only streams have one."""

COST_TITLES: Mapping[str, str] = {
    "file_bytes": "file, B",
    "arena_bytes": "arena, B",
    "weight_bytes": "weights, B",
    "params": "params",
    "macs": "MACs",
    "bitops": "bit ops",
    "linear_cost": "linear cost",
    "macs_per_second": "MACs/s",
    "vela_cycles": "Vela cycles",
}

DETAILS = "details"
"""Key of a reading: what is known of its figures, such as intervals. No figures themselves."""

Interval = tuple[float, float]

_SHARE = re.compile(r"accuracy|per_class|rate|recall|precision|f1|auc")
_LESS_IS_BETTER = re.compile(r"(^|[._])(loss|error|eer|miss|false|far|frr|wer|cer|perplexity)")


@dataclass(frozen=True)
class Metric:
    """A quality that rows have: its path under `metrics.<reading>`, joined by dots.

    is_share: a fraction, to be shown in percent; sense: 1 where more is better, -1 where less is.
    """

    key: str
    is_share: bool
    sense: int


def metrics(rows: Sequence[Row], first: str | None = None) -> list[Metric]:
    """All qualities of the served models, `first` first, the others in order of sight."""
    values: dict[str, list[float]] = {first: []} if first else {}
    for row in rows:
        for key in _metric_keys(row):
            value = quality(row, key)
            if value is not None:
                values.setdefault(key, []).append(value)
    return [Metric(key, is_share(key, found), sense(key)) for key, found in values.items() if found]


def is_share(metric: str, values: Sequence[float]) -> bool:
    """Whether these values are to be shown in percent: not all that is up to 1 (STOI) is."""
    return bool(_SHARE.search(metric)) and 0 <= min(values) <= max(values) <= 1


def sense(metric: str) -> int:
    """1 where more is better, -1 where less is: told from the name."""
    # Members of per_class are accuracies, whatever a class is called: "far", "false".
    is_less = _LESS_IS_BETTER.search(metric) and not metric.startswith("per_class.")
    return -1 if is_less else 1


def require_more_is_better(metric: str) -> None:
    """BadInput unless `metric` can be the quality that fronts are made of."""
    if sense(metric) < 0:
        raise BadInput(
            f"{metric!r} can't be the quality that fronts are made of: less of it is better"
        )


def _metric_keys(row: Row) -> list[str]:
    """Paths of the figures of any reading; of groups such as `per_class`, their members."""
    readings = row.get("metrics")
    keys: dict[str, None] = {}
    for name, reading in readings.items() if isinstance(readings, Mapping) else ():
        if name == "train" or not isinstance(reading, Mapping):
            continue
        for key, value in reading.items():
            if key == DETAILS:
                continue
            members = [f"{key}.{member}" for member in value] if isinstance(value, Mapping) else []
            keys |= dict.fromkeys(members or [str(key)])
    return list(keys)


def quality(row: Row, metric: str) -> float | None:
    """The integer model's metric where the run has one, else the float model's."""
    integer = reading(row, "integer", metric)
    return reading(row, "float", metric) if integer is None else integer


def reading(row: Row, name: str, metric: str) -> float | None:
    """The metric of one reading: float, quantized, integer, train."""
    return figure(row, "metrics", name, *metric.split("."))


def interval(row: Row, metric: str) -> Interval | None:
    """The 95 % interval of what `quality` gives, where the row says it."""
    served = "float" if reading(row, "integer", metric) is None else "integer"
    ends = _at(row, "metrics", served, DETAILS, "intervals", metric)
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
        return None
    low, high = map(_finite, ends)
    return None if low is None or high is None else (low, high)


def generalisation_gap(row: Row, metric: str) -> float | None:
    """How much better the served model is on the clips that it was trained on."""
    trained, served = reading(row, "train", metric), quality(row, metric)
    return None if trained is None or served is None else trained - served


def cost(row: Row, axis: str) -> float | None:
    """A positive cost, or None.

    Rows of before say less: float32 weights take 4 bytes each, and a linear cost can be told from
    the precision when it is not a mixture.
    """
    value = figure(row, "stream" if axis == "macs_per_second" else "costs", axis)
    if value is None and axis == "weight_bytes" and row.get("precision") == "float":
        params = figure(row, "costs", "params")
        value = None if params is None else 4 * params
    if value is None and axis == "linear_cost":
        value = _linear_cost(row)
    return value if value is not None and value > 0 else None


def _linear_cost(row: Row) -> float | None:
    """MACs x 4, 8, 16 or 32 where the precision's name says enough (models without attention)."""
    precision, macs = str(row.get("precision", "")), figure(row, "costs", "macs")
    bits = re.search(r"w(\d+)a(\d+)", precision)
    if macs is None or not (bits or precision == "float"):
        return None
    weight_bits, activation_bits = map(int, bits.groups()) if bits else (32, 32)
    if activation_bits == 32 or (activation_bits == 8 and weight_bits <= 8):
        return macs * activation_bits
    bitops = figure(row, "costs", "bitops")
    # Signed edges keep 8 bits: of 4-bit weights, 16 bit operations cost 4 and 32 cost 8.
    fits = bitops is not None and weight_bits == activation_bits == 4 and bitops <= 32 * macs
    return bitops / 4 if fits and bitops is not None else None


def figure(row: Row, *path: str) -> float | None:
    """The finite number at `path` in the row, as JSON gives it, or None."""
    return _finite(_at(row, *path))


def _at(row: Row, *path: str) -> object:
    value: object = row
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _finite(value: object) -> float | None:
    is_number = type(value) in (int, float)  # True is none; the rows of a study are asked often
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]
