"""What an enhancer does to each kind of noise: alone, and behind speech."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement.data import EnhancementData, mixture

Enhance = Callable[[np.ndarray], np.ndarray]

PER_KIND = 3
"""Recordings of a kind, at most."""
LEVEL_DBFS = -25.0
SNR_DB = 5.0
ROOM_DB = -40.0
"""Of the even noise behind sounds that come and go, against them."""


def by_kind(
    enhance: Enhance,
    noises: Mapping[str, Sequence[np.ndarray]],
    speech: Sequence[np.ndarray],
    rate_hz: int,
    with_models: bool,
) -> list[dict[str, Any]]:
    """A row per kind, in the order of `noises`.

    Args:
      enhance: sound of sound, float32 [N], full scale 1.
      noises: of each kind, [N] each, of any scale.
      speech: clean, [N] each; recordings of a kind take turns with them.
      rate_hz: of all sound.
      with_models: whether PESQ is among the scores.

    Returns:
      {"kind", "n", "attenuation_db": by how much the energy of the noise alone, at -25 dBFS, is
      less; and of mixtures at 5 dB "si_sdr_improvement_db", "pesq_before" and "pesq"}: means. What
      cannot be measured is null.
    """
    rows = []
    for kind, recordings in noises.items():
        found = [
            {"attenuation_db": _attenuation_db(enhance, noise)}
            | _in_speech(enhance, speech[turn % len(speech)], noise, rate_hz, with_models)
            for turn, noise in enumerate(recordings)
        ]
        means = {name: _mean([row[name] for row in found]) for name in found[0]}
        rows.append({"kind": kind, "n": len(found), **means})
    return rows


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `by_kind` returned, for people."""
    return [
        f"{row['kind']:<20} alone {_told(row, 'attenuation_db', '.1f')} dB less; "
        f"behind speech SI-SDR {_told(row, 'si_sdr_improvement_db', '+.1f')} dB"
        + (
            f", PESQ {_told(row, 'pesq_before', '.2f')} to {_told(row, 'pesq', '.2f')}"
            if "pesq" in row
            else ""
        )
        for row in rows
    ]


def recorded(data: EnhancementData, split: str) -> dict[str, list[np.ndarray]]:
    """Noise clips of a split by kind, float32 [N] each."""
    found = data.noises_by_label(split, PER_KIND)
    return {name.removeprefix("noise:"): [to_float(x) for x in found[name]] for name in found}


def made(rate_hz: int, samples: int) -> dict[str, list[np.ndarray]]:
    """Sounds that recordings of noise lack, float32 [N] each, the same ones at every call."""
    draw = np.random.default_rng(0)
    kinds = {
        "taps on a desk": _taps(draw, rate_hz, samples),
        "keys": _keys(draw, rate_hz, samples),
        "mains hum": _hum(rate_hz, samples),
        "a fan that starts": _fan(draw, rate_hz, samples),
    }
    return {f"{name} (made)": [sound.astype(np.float32)] for name, sound in kinds.items()}


def _taps(draw: np.random.Generator, rate_hz: int, samples: int) -> np.ndarray:
    """A resonance of the desk and a click, about twice a second."""
    times = np.arange(round(0.15 * rate_hz)) / rate_hz
    pitches_hz = draw.uniform(150, 400, 64)
    bodies = np.exp(-times / 0.03) * np.sin(2 * np.pi * pitches_hz[:, None] * times)
    clicks = np.exp(-times / 0.003) * draw.normal(size=(64, len(times)))
    return _repeated(draw, bodies + 0.5 * clicks, rate_hz, samples, every_s=(0.3, 0.7))


def _keys(draw: np.random.Generator, rate_hz: int, samples: int) -> np.ndarray:
    """A click when a key goes down and a quieter one when it comes up."""
    times = np.arange(round(0.1 * rate_hz)) / rate_hz
    bursts = np.exp(-times / 0.004) * draw.normal(size=(2, 64, len(times)))
    up = round(0.07 * rate_hz)
    down, later = bursts[0], np.roll(bursts[1], up, -1)
    later[:, :up] = 0
    return _repeated(draw, down + 0.4 * later, rate_hz, samples, every_s=(0.12, 0.3))


def _hum(rate_hz: int, samples: int) -> np.ndarray:
    """50 Hz and its harmonics to 1 kHz."""
    times = np.arange(samples) / rate_hz
    orders = np.arange(1, 21)[:, None]
    return (np.sin(2 * np.pi * 50 * orders * times + orders**2) / orders).sum(0)


def _fan(draw: np.random.Generator, rate_hz: int, samples: int) -> np.ndarray:
    """Quiet for a third of the time, then noise that loses 6 dB per octave above 300 Hz."""
    noise = draw.normal(size=samples)
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(samples, 1 / rate_hz)
    fan = np.fft.irfft(spectrum / np.maximum(hz / 300, 1), samples)
    return np.where(np.arange(samples) < samples // 3, 10 ** (ROOM_DB / 20), 1.0) * fan


def _repeated(
    draw: np.random.Generator,
    sounds: np.ndarray,
    rate_hz: int,
    samples: int,
    every_s: tuple[float, float],
) -> np.ndarray:
    """Sounds [count, n] one after another, and an even noise behind them: [samples]."""
    out = np.zeros(samples + sounds.shape[1])
    place, number = 0, 0
    while place < samples:
        sound = sounds[number % len(sounds)] * draw.uniform(0.5, 1.0)
        out[place : place + len(sound)] += sound
        place += round(draw.uniform(*every_s) * rate_hz)
        number += 1
    out = out[:samples]
    return out + 10 ** (ROOM_DB / 20) * np.std(out) * draw.normal(size=samples)


def _attenuation_db(enhance: Enhance, noise: np.ndarray) -> float:
    given, _ = mixture(np.zeros_like(noise), noise, 0.0, LEVEL_DBFS)
    made = np.asarray(enhance(given.astype(np.float32)), np.float64)
    before, after = (float(np.square(x).sum()) for x in (given, made))
    return 10 * math.log10(before / max(after, 1e-12 * before)) if before else math.nan


def _in_speech(
    enhance: Enhance, speech: np.ndarray, noise: np.ndarray, rate_hz: int, with_models: bool
) -> dict[str, float]:
    noisy, clean = (x.astype(np.float32) for x in mixture(speech, noise, SNR_DB, LEVEL_DBFS))
    made = np.asarray(enhance(noisy), np.float32)
    si_sdr = sound_quality.si_sdr
    found = {"si_sdr_improvement_db": si_sdr(clean, made) - si_sdr(clean, noisy)}
    if with_models:
        pair = (sound_quality.pesq_wb(clean, x, rate_hz) for x in (noisy, made))
        found |= dict(zip(("pesq_before", "pesq"), pair, strict=True))
    return found


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def _told(row: Mapping[str, Any], name: str, form: str) -> str:
    return "?" if row[name] is None else format(row[name], form)
