"""Rows as studies would leave them, from a formula instead of training."""

import dataclasses
import hashlib
import math

from aqtaudio.tasks.enhancement.task import HEADLINES

# precision: (weight bits, activation bits, accuracy lost at width 64, file bytes without weights)
PRECISIONS = {
    "float": (32, 32, 0.0, 9000),
    "ptq_w8a8": (8, 8, 0.012, 7000),
    "fake_w8a8": (8, 8, 0.006, 7000),
    "w8a8": (8, 8, 0.002, 7000),
    "w4a8": (4, 8, 0.007, 7000),
    "w4a4": (4, 4, 0.026, 7000),
    "w8a8_low_rank": (8, 8, 0.008, 8500),
}


def fake_rows(widths=(24, 32, 48, 64), seeds=2):
    return [
        fake_row(precision, width, seed)
        for width in widths
        for precision in PRECISIONS
        for seed in range(seeds)
    ]


def fake_enhancement_rows(widths=(64, 256)):
    """Of noise suppression: float and integer runs, one seed."""
    return [fake_enhancement_row(name, width) for width in widths for name in ("float", "w8a8")]


def fake_enhancement_row(precision, width):
    row = fake_row(precision, width, 0) | {"headlines": dataclasses.asdict(HEADLINES)}
    scores = {"si_sdr_db": 12.0, "si_sdr_improvement_db": 7.0, "pesq": 2.2, "stoi": 0.9}
    scores |= {f"dnsmos_{name}": 3.0 for name in ("ovrl", "sig", "bak", "p808")}
    means = {key: value + width / 10_000 for key, value in scores.items()}
    row["metrics"] = {"float": _reading(means)}
    if precision != "float":
        row["metrics"]["integer"] = _reading({key: mean - 0.02 for key, mean in means.items()})
    return row


def _reading(means):
    """As a row has it: the intervals reach 0.01 down and 0.03 up."""
    n = dict.fromkeys(means, 75)
    intervals = {key: [mean - 0.01, mean + 0.03] for key, mean in means.items()}
    details = {"n": n, "left_out": {"pesq": 2}, "intervals": intervals}
    return means | {"details": details | {"per_snr": {"-5": details | means}}}


def fake_row(precision, width, seed):
    weight_bits, activation_bits, loss, overhead = PRECISIONS[precision]
    low_rank = precision.endswith("low_rank")
    params = int(4.2 * width**2 * (0.6 if low_rank else 1.0) + 110 * width)
    macs = 125 * params
    floating = 0.955 - 2.4 / width**1.2 + 0.004 * math.sin(7 * seed + width)
    served = floating - loss * 64 / width + 0.002 * math.cos(5 * seed + width + len(precision))
    weight_bytes = params * weight_bits // 8
    row = {
        "run_id": hashlib.sha256(f"{precision} {width} {seed}".encode()).hexdigest()[:12],
        "name": f"{precision} w{width} seed={seed}",
        "model": "DSCNN",
        "width": width,
        "precision": precision,
        "seed": seed,
        "config_delta": {"model.width": width, "seed": seed, "recipe": precision},
        "metrics": {"float": {"accuracy": floating, "per_class": {"yes": 0.9, "no": 1.0}}},
        "costs": {
            "params": params,
            "macs": macs,
            "bitops": macs * weight_bits * activation_bits,
            "weight_bytes": weight_bytes,
            "file_bytes": weight_bytes + overhead,
            "arena_bytes": (width * 500 // 4) * (16 if precision == "float" else 3),
            "state_bytes": 0,
        },
        "stream": {"block_ms": 20.0, "macs_per_second": 50 * macs},
        "commit": "0123456789abcdef",
        "dirty": width == 64,
        "seconds": 12.5 * width,
        "device": "cpu",
    }
    if precision == "float":
        del row["costs"]["weight_bytes"]
    else:
        row["metrics"]["integer"] = {"accuracy": served}
        row["parity"] = {"runtime": "micro", "n": 2000, "outputs": 16000, "mismatches": 0}
        row["parent"] = fake_row("float", width, seed)["run_id"]
        row["config_delta"]["init_from"] = {"model.width": width, "seed": seed}
    if low_rank:
        row["ranks"] = {f"block{block}/pointwise": width // 3 for block in range(1, 5)}
        row["config_delta"]["svd.sparsity"] = 0.01
    return row
