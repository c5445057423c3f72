"""The micro front end: ours by the batch against TensorFlow's operator, and where our time goes.

    python benchmarks/micro_frontend.py [--data DIR] [--clips 256] [--rounds 7] [--hop_ms 20]

All get the same seconds of audio, recordings or else noise: ours in one batch of clips of one
second, the operator clip by clip, as a data pipeline calls it, and the operator on one recording of
that length, where computing its tables each time costs nothing. They alternate in one process, so
that a drift of the machine meets all; ratios of medians are what counts. Ours uses all cores, the
operator one: the time of all cores together (CPU) is told, too, and says more on a busy machine.
Our stages are differences of programs that end earlier. Prints Markdown tables; results must not
differ.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import numpy as np
from measuring import alternating

from aqtaudio.data import audio, manifest
from aqtaudio.frontends import micro
from aqtaudio.frontends.frontend import cut
from aqtaudio.frontends.micro import MicroFrontend

RATE_HZ = 16_000
OPERATOR_CLIPS, OPERATOR_LONG = "TensorFlow's operator, clip by clip", "... on one recording"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hop_ms", type=int, default=20)
    options = parser.parse_args()
    settings = MicroFrontend(hop_ms=options.hop_ms)
    samples = clips(options.data, options.clips)
    batch = jax.device_put(jnp.asarray(samples, jnp.int32))
    name = f"ours, a batch of {len(samples)} clips"
    times = alternating(
        {
            name: program(lambda x: settings.integers(x, settings.initial_state(len(x)))[0], batch),
            OPERATOR_CLIPS: lambda: np.stack([operator(settings, clip) for clip in samples]),
            OPERATOR_LONG: lambda: operator(settings, samples.reshape(-1)),
            **stages(settings, batch),
        },
        options.rounds,
    )
    ours = np.asarray(settings.integers(batch, settings.initial_state(len(samples)))[0])
    theirs = np.stack([operator(settings, clip) for clip in samples])
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores; {ours.size:,} values, "
          f"{(ours != theirs).sum()} differ\n")  # fmt: skip
    per_second = {what: 1e3 * np.median(both, 0) / len(samples) for what, both in times.items()}
    rows = {what: per_second[what] for what in (name, OPERATOR_CLIPS, OPERATOR_LONG)}
    table("x ours", rows, per_second[name])
    transform, filters = (per_second[what] for what in STAGES)
    parts = {
        "window, transform": transform,
        "filters, square roots": filters - transform,
        "noise, gain, logarithm": per_second[name] - filters,
    }
    table("of all", parts, per_second[name])


def clips(folder: Path | None, count: int) -> np.ndarray:
    """int16 [count, 16000]: the beginnings of recordings, repeated if there are fewer, or noise."""
    if folder is None:
        return np.random.default_rng(0).integers(-3000, 3000, (count, RATE_HZ)).astype(np.int16)
    recordings = [one for one in manifest.read(folder) if one.seconds >= 1]
    spread = recordings[:: max(1, len(recordings) // count)][:count]
    samples = [audio.load_int16(folder / one.path)[:RATE_HZ] for one in spread]
    return np.resize(np.stack(samples), (count, RATE_HZ))


def operator(settings: MicroFrontend, samples: np.ndarray) -> np.ndarray:
    """Features [T, channels] by the operator in TensorFlow's package; the defaults are ours."""
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    return audio_microfrontend_op.audio_microfrontend(
        tf.constant(samples, tf.int16),
        settings.sample_rate_hz,
        int(settings.window_ms),
        int(settings.hop_ms),
        settings.channels,
    ).numpy()


STAGES = ("to the transform", "to the square roots")


def stages(settings: MicroFrontend, batch: jax.Array) -> dict[str, Callable[[], object]]:
    """Programs that end earlier."""

    def to_the_transform(samples: jax.Array) -> jax.Array:
        windows = cut(samples.astype(jnp.int16), settings)
        windows = windows.reshape(-1, settings.window_samples)
        size = min(micro.CHUNK_WINDOWS, len(windows)) if on_cpu() else len(windows)
        whole = windows[: len(windows) // size * size].reshape(-1, size, settings.window_samples)
        return jax.lax.map(summed, whole)

    def summed(windows: jax.Array) -> jax.Array:
        first, second, _ = micro.spectrum(settings, windows)
        return sum(part.sum(0) for part in (*first, *second))

    to_the_roots = program(lambda samples: micro.channels(settings, samples), batch)
    return dict(zip(STAGES, (program(to_the_transform, batch), to_the_roots), strict=True))


def on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def program(function: Callable, batch: jax.Array) -> Callable[[], object]:
    """A compiled function of the batch."""
    compiled = jax.jit(function).lower(batch).compile()
    return lambda: jax.block_until_ready(compiled(batch))


def table(ratio: str, rows: dict[str, np.ndarray], whole: np.ndarray) -> None:
    """A Markdown table of (by the clock, of all cores), each also as a part of `whole`."""
    print(f"| | ms / s of audio | {ratio} | CPU ms / s of audio | {ratio} |")
    print("|---|---:|---:|---:|---:|")
    for name, both in rows.items():
        cells = (cell for pair in zip(both, both / whole, strict=True) for cell in pair)
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
