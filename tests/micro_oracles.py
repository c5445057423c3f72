"""What the micro front end is compared with, signals for it, and settings drawn at random.

Oracles: TensorFlow's operator around the C library, and TFLite Micro's signal operators, which the
published preprocessor strings together. The latter is rewritten for other settings.
"""

import functools

import jax
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from initial import QUICKLY

from aqtaudio.errors import BadInput
from aqtaudio.frontends import micro
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.program import flatbuffer

GOLDEN_FILE = "golden/micro_frontend/audio_preprocessor_int8.tflite"


def tensorflow_op(settings: MicroFrontend, samples: np.ndarray) -> np.ndarray:
    """Features int32 [T, channels] of int16 [N] by the operator in TensorFlow's package."""
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    s = settings
    features = audio_microfrontend_op.gen_audio_microfrontend_op.audio_microfrontend(
        audio=tf.constant(samples, tf.int16),
        sample_rate=s.sample_rate_hz,
        window_size=int(s.window_ms),
        window_step=int(s.hop_ms),
        num_channels=s.channels,
        upper_band_limit=s.upper_hz,
        lower_band_limit=s.lower_hz,
        smoothing_bits=s.smoothing_bits,
        even_smoothing=s.even_smoothing,
        odd_smoothing=s.odd_smoothing,
        min_signal_remaining=s.min_signal_remaining,
        enable_pcan=s.pcan,
        pcan_strength=s.pcan_strength,
        pcan_offset=s.pcan_offset,
        gain_bits=s.gain_bits,
        enable_log=s.log,
        scale_shift=s.scale_shift,
        out_type=tf.uint16,
    )
    return features.numpy().astype(np.int32)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICKLY)
def _quickly(settings: MicroFrontend, samples: jax.Array, state: jax.Array):
    return settings.integers(samples, state)


def quickly_compiled(
    settings: MicroFrontend, samples: np.ndarray, state: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """`settings.integers` of int16 [B, N], by a slow program that is made in a third of the time.

    Integers do not depend on how well they are compiled.
    """
    state = settings.initial_state(len(samples)) if state is None else state
    return _quickly(settings, samples.astype(np.int32), state)


class Preprocessor:
    """A preprocessor in TFLite Micro's interpreter, window by window."""

    def __init__(self, model: bytes, settings: MicroFrontend):
        from tflite_micro.python.tflite_micro import runtime

        self.settings = settings
        self.interpreter = runtime.Interpreter.from_bytes(model, arena_size=1_000_000)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Features int32 [T, channels] of int16 [N], from silence on."""
        s = self.settings
        self.interpreter.reset()
        rows = np.empty((s.frames(len(samples)), s.channels), np.int32)
        for index, row in enumerate(rows):
            window = samples[index * s.hop_samples :][: s.window_samples]
            self.interpreter.set_input(window[None].astype(np.int16), 0)
            self.interpreter.invoke()
            row[:] = self.interpreter.get_output(0).ravel()
        return rows


def int8_of(features: np.ndarray) -> np.ndarray:
    """What the published preprocessor makes of 16-bit features."""
    return np.minimum((features * 256 + 333) // 666 - 128, 127)


def preprocessor(published: bytes, settings: MicroFrontend) -> bytes:
    """The published preprocessor with other settings; its output are the 16-bit features."""
    model = flatbuffer.read(published)
    graph = model.subgraphs[0]
    found = {
        flatbuffer.operator_name(model, operator).removeprefix("CUSTOM:Signal"): operator
        for operator in graph.operators
    }
    _set_options(settings, found)
    _set_constants(settings, model, found)
    _set_shapes(settings, graph, found)
    if not settings.pcan:
        found["FilterBankLog"].inputs = found["FilterBankSpectralSubtraction"].outputs[:1]
        graph.operators.remove(found["PCAN"])
    graph.operators = graph.operators[: graph.operators.index(found["FilterBankLog"]) + 1]
    graph.outputs = found["FilterBankLog"].outputs
    model.signatureDefs = None
    return flatbuffer.write(model)


def _set_options(s: MicroFrontend, operators: dict[str, schema.OperatorT]) -> None:
    """TFLite Micro reads options by number, in the alphabetical order of their names."""
    filters = micro.tables(s).filters
    even, odd, least = micro.smoothing(s)
    changes = {
        "Rfft": {"fft_length": s.fft_samples},
        "Energy": {"start_index": filters.start, "end_index": filters.end},
        "FilterBank": {"num_channels": s.channels},
        "FilterBankSpectralSubtraction": {
            "num_channels": s.channels,
            "smoothing": even,
            "one_minus_smoothing": 16384 - even,
            "alternate_smoothing": odd,
            "alternate_one_minus_smoothing": 16384 - odd,
            "min_signal_remaining": least,
            "smoothing_bits": s.smoothing_bits,
        },
        "PCAN": {"snr_shift": s.snr_shift},
        "FilterBankLog": {
            "input_correction_bits": s.correction_bits,
            "output_scale": 1 << s.scale_shift,
        },
    }
    for name, new in changes.items():
        options = flexbuffers.Loads(bytes(operators[name].customOptions))
        assert new.keys() <= options.keys()
        changed = flexbuffers.Dumps(options | new)
        operators[name].customOptions = np.frombuffer(bytes(changed), np.uint8)


def _set_constants(
    s: MicroFrontend, model: schema.ModelT, operators: dict[str, schema.OperatorT]
) -> None:
    """Window, slice of the spectrum and what surrounds it, filters, gains."""
    tables = micro.tables(s)
    start, end = tables.filters.start, tables.filters.end
    gains = np.zeros(126, np.int32)
    gains[:2] = tables.gains[:2, 0]
    gains[2:].reshape(31, 4)[:, :3] = tables.gains[2:]
    kept, joined = operators["STRIDED_SLICE"], operators["CONCATENATION"]
    widths = np.bincount(tables.filters.intervals, minlength=s.channels + 1)
    begins = np.cumsum(widths) - widths
    constants = {
        operators["Window"].inputs[1]: (tables.window, "INT16"),
        kept.inputs[1]: (np.array([start]), "INT32"),
        kept.inputs[2]: (np.array([end]), "INT32"),
        joined.inputs[0]: (np.zeros(start), "INT32"),
        joined.inputs[2]: (np.zeros(s.fft_samples // 2 + 1 - end), "INT32"),
        operators["PCAN"].inputs[2]: (gains[:125], "INT16"),
    }
    sides = tables.filters.falling, tables.filters.rising
    filters = (*sides, start + begins, begins, widths)
    for index, values in zip(operators["FilterBank"].inputs[1:], filters, strict=True):
        constants[index] = values, "INT16"
    for index, (values, kind) in constants.items():
        tensor = model.subgraphs[0].tensors[index]
        tensor.shape = list(values.shape)
        model.buffers[tensor.buffer] = flatbuffer.buffer(values, kind)


def _set_shapes(
    s: MicroFrontend, graph: schema.SubGraphT, operators: dict[str, schema.OperatorT]
) -> None:
    """Shapes of what flows, by the operator that makes it."""
    filters, bins = micro.tables(s).filters, s.fft_samples // 2 + 1
    lengths = {
        "RESHAPE": s.window_samples,
        "FftAutoScale": s.window_samples,
        "Rfft": 2 * bins,
        "Energy": bins,
        "STRIDED_SLICE": filters.end - filters.start,
        "CONCATENATION": bins,
        "FilterBank": s.channels,
        "FilterBankSquareRoot": s.channels,
        "FilterBankSpectralSubtraction": s.channels,
        "PCAN": s.channels,
        "FilterBankLog": s.channels,
    }
    for index in (*graph.inputs, *operators["Window"].outputs):
        graph.tensors[index].shape = [1, s.window_samples]
    for name, length in lengths.items():
        for index in operators[name].outputs:
            if len(graph.tensors[index].shape):
                graph.tensors[index].shape = [length]
    energy, joined = operators["Energy"].outputs[0], operators["CONCATENATION"].outputs[0]
    for operator in graph.operators:
        if operator.inputs[0] in (energy, joined):  # the casts behind them
            if operators["STRIDED_SLICE"] is not operator:
                graph.tensors[operator.outputs[0]].shape = [bins]


def random_settings(rng: np.random.Generator, **fixed) -> MicroFrontend:
    """Settings of any kind that a device could have; those that make no sense are drawn again."""
    while True:
        rate = int(rng.choice([8_000, 16_000, 44_100, 48_000]))
        window_ms = int(rng.integers(10, 65))
        strength = float(rng.choice([0.95, rng.uniform(0, 1.2)]))
        drawn = {
            "sample_rate_hz": rate,
            "window_ms": window_ms,
            "hop_ms": int(rng.integers(5, window_ms + 1)),
            "channels": int(rng.integers(8, 65)),
            "lower_hz": float(rng.uniform(20, 400)),
            "upper_hz": float(rng.uniform(0.3, 0.49) * rate),
            "smoothing_bits": int(rng.integers(7, 13)),
            "even_smoothing": float(rng.uniform(0, 0.3)),
            "odd_smoothing": float(rng.uniform(0, 0.3)),
            "min_signal_remaining": float(rng.choice([0.05, rng.uniform(0, 1)])),
            "pcan": bool(rng.random() < 0.7),
            "pcan_strength": strength,
            "pcan_offset": float(rng.uniform(1, 200)),
            "gain_bits": int(rng.integers(18, 25)),
            "log": bool(rng.random() < 0.8),
            "scale_shift": int(rng.integers(3, 9)),
        }
        try:
            return MicroFrontend(**drawn | fixed)
        except BadInput:
            continue


def voices(rng: np.random.Generator, samples: int, rate_hz: int) -> np.ndarray:
    """Something like speech: harmonics and hiss in bursts over a quiet ground; int16 [samples]."""
    time = np.arange(samples) / rate_hz
    pitch = 2 * np.pi * np.cumsum(120 + 60 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * time))
    harmonics = sum(np.sin(k * pitch / rate_hz) / k for k in range(1, 20))
    bursts = np.maximum(0, np.sin(2 * np.pi * rng.uniform(1, 5) * time + rng.uniform(0, 6))) ** 2
    hiss = rng.standard_normal(samples)
    sound = bursts * (rng.uniform(0, 8000) * harmonics + rng.uniform(0, 3000) * hiss)
    return _int16(sound + rng.uniform(0, 60) * rng.standard_normal(samples))


def square(period: int, samples: int, high: int = 32767, low: int = -32768) -> np.ndarray:
    """Full scale, int16 [samples]."""
    return np.where(np.arange(samples) % period < period // 2, high, low).astype(np.int16)


def signals(rng: np.random.Generator, samples: int, rate_hz: int) -> np.ndarray:
    """All kinds of sounds, int16 [8, samples]."""
    hiss, level = rng.standard_normal(samples), np.linspace(0, 16, samples)
    return np.stack(
        [
            voices(rng, samples, rate_hz),
            _int16(2.0**level * hiss),
            _int16(2.0 ** rng.uniform(-2, 14) * hiss),
            np.zeros(samples, np.int16),
            square(int(rng.integers(2, 400)), samples),
            rng.integers(-32768, 32768, samples).astype(np.int16),
            np.where(rng.random(samples) < 0.003, -32768, rng.integers(-2, 3, samples)).astype(
                "i2"
            ),
            np.full(samples, rng.choice([-32768, 32767, -1, 1]), np.int16),
        ]
    )


def _int16(sound: np.ndarray) -> np.ndarray:
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)
