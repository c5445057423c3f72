"""Laws of the losses of enhancement."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement.loss import FIRST_SNR_DB, LAST_SNR_DB, SpectralLoss, local_snr_db
from aqtaudio.tasks.enhancement.task import Enhancement
from aqtaudio.tasks.hearing import disturbance

pytestmark = pytest.mark.optimized(False)

HZ = 16_000
LOSS = SpectralLoss()


def clips(seed: int = 0, count: int = 2) -> np.ndarray:
    """0.1 s."""
    draw = np.random.default_rng(seed)
    return 0.1 * draw.normal(size=(count, HZ // 10)).astype(np.float32)


@functools.cache
def compiled(loss: SpectralLoss):
    return jax.jit(jax.value_and_grad(lambda ours, theirs: loss(ours, theirs, HZ)))


def value(ours: np.ndarray, theirs: np.ndarray, loss: SpectralLoss = LOSS) -> float:
    return float(compiled(loss)(ours, theirs)[0])


def test_nothing_between_equals():
    assert value(clips(), clips()) < 1e-9  # compilers fuse products into sums
    assert value(0 * clips(), 0 * clips()) == 0
    assert value(clips(0), clips(1)) > 1


@pytest.mark.parametrize(
    "ours", [0 * clips(), clips(), np.eye(2, HZ // 10, dtype=np.float32), 1e-20 * clips()]
)
@pytest.mark.parametrize("theirs", [0 * clips(), clips(1)])
def test_gradients_are_finite(ours: np.ndarray, theirs: np.ndarray):
    """Also where a power below one has none: at zero."""
    other = dataclasses.replace(LOSS, lost_weight=100.0, compression=0.1, disturbance_weight=10.0)
    for loss in (LOSS, other):
        found, gradient = compiled(loss)(ours, theirs)
        assert np.isfinite(found) and np.isfinite(gradient).all()


def test_gradients_are_the_slope():
    """Towards the target."""
    ours, theirs = clips(0), clips(1)
    way = theirs - ours
    _, gradient = compiled(LOSS)(ours, theirs)
    step = 1e-2
    slope = (value(ours + step * way, theirs) - value(ours - step * way, theirs)) / (2 * step)
    assert float(np.vdot(gradient, way)) == pytest.approx(slope, rel=0.02)


def test_loss_falls_towards_the_target():
    found = [value(clips(0) * (1 - t) + clips(1) * t, clips(1)) for t in (0.0, 0.5, 0.9, 1.0)]
    assert found == sorted(found, reverse=True) and found[-1] < 1e-9


@pytest.mark.parametrize("compression", [0.3, 1.0])
def test_both_louder(compression: float):
    """Squares of magnitudes to the power c."""
    loss = dataclasses.replace(LOSS, compression=compression)
    expected = 100**compression * value(clips(0), clips(1), loss)
    assert value(10 * clips(0), 10 * clips(1), loss) == pytest.approx(expected, rel=1e-3)


def test_loss_does_not_ask_for_the_number_of_clips():
    one = value(clips(0)[:1], clips(1)[:1])
    assert value(clips(0)[[0, 0]], clips(1)[[0, 0]]) == pytest.approx(one, rel=1e-5)


def test_resolutions_add_up():
    each = [dataclasses.replace(LOSS, windows_ms=(w,)) for w in LOSS.windows_ms]
    total = sum(value(clips(0), clips(1), loss) for loss in each)
    assert value(clips(0), clips(1)) == pytest.approx(total, rel=1e-5)


def test_what_an_ear_notices_is_added():
    heard = dataclasses.replace(LOSS, disturbance_weight=10.0)
    expected = value(clips(0), clips(1)) + 10 * float(disturbance(clips(0), clips(1), HZ))
    assert value(clips(0), clips(1), heard) == pytest.approx(expected, rel=1e-4)
    assert value(0 * clips(), 0 * clips(), heard) < 0.01


def test_magnitudes_do_not_see_signs():
    magnitudes = dataclasses.replace(LOSS, complex_weight=0.0)
    assert value(-clips(), clips(), magnitudes) == pytest.approx(0, abs=1e-6)
    assert value(-clips(), clips(), dataclasses.replace(LOSS, magnitude_weight=0.0)) > 1


def test_against_arithmetic():
    """One window, by hand."""
    size = 160
    loss = SpectralLoss(windows_ms=(10.0,), lost_weight=30.0)
    ours, theirs = clips(0, 1)[:, : 2 * size], clips(1, 1)[:, : 2 * size]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)

    def spectra(x: np.ndarray) -> np.ndarray:
        starts = range(0, 2 * size - size + 1, size // 4)
        return np.stack([np.fft.rfft(x[0, i : i + size] * window) for i in starts]) / size**0.5

    y, s = spectra(ours.astype(np.float64)), spectra(theirs.astype(np.float64))
    power, other = np.abs(y) ** 0.3, np.abs(s) ** 0.3
    apart = np.abs(power * np.exp(1j * np.angle(y)) - other * np.exp(1j * np.angle(s)))
    expected = 500 * np.mean((power - other) ** 2) + 500 * np.mean(apart**2) / 2
    expected += 30 * np.mean(np.maximum(other - power, 0) ** 2)
    assert value(ours, theirs, loss) == pytest.approx(expected, rel=1e-3)


def test_what_was_lost_weighs_more():
    """The additional weight is on magnitudes that lack, not on those that are too much."""
    heavy = dataclasses.replace(LOSS, lost_weight=500.0)
    assert value(1.5 * clips(), clips(), heavy) == value(1.5 * clips(), clips())
    less, plain = value(0.5 * clips(), clips(), heavy), value(0.5 * clips(), clips())
    magnitudes = dataclasses.replace(LOSS, complex_weight=0.0)
    assert less - plain == pytest.approx(value(0.5 * clips(), clips(), magnitudes), rel=1e-3)


def spectrum(energies: list[float]) -> np.ndarray:
    """One bin of two holds a frame's energy, complex64 [1, T, 2]."""
    found = np.zeros((1, len(energies), 2), np.complex64)
    found[0, :, 1] = 1j * np.sqrt(energies)
    return found


@pytest.mark.parametrize(
    ("speech", "noise", "expected"),
    [
        ([1.0] * 3, [1.0] * 3, [0.0] * 3),
        ([1.0] * 3, [0.1] * 3, [10.0] * 3),
        ([0.1] * 3, [1.0] * 3, [-10.0] * 3),
        # The noise is smoothed over three frames, with weights 0.3, 0.4, 0.3.
        ([1.0] * 5, [0.1, 0.1, 1.1, 0.1, 0.1], [10, 3.98, 3.01, 3.98, 10]),
        ([1.0, 100.0, 1.0], [1.0] * 3, [0.0, 20.0, 0.0]),
        ([1.0] * 3, [0.0] * 3, [LAST_SNR_DB] * 3),
        ([0.0] * 3, [1.0] * 3, [FIRST_SNR_DB] * 3),
        ([0.0] * 3, [0.0] * 3, [0.0] * 3),
    ],
)
def test_local_snr(speech: list[float], noise: list[float], expected: list[float]):
    found = local_snr_db(spectrum(speech), spectrum(noise))
    assert found.shape == (1, len(speech))
    np.testing.assert_allclose(found[0], expected, atol=0.01)


def test_local_snr_does_not_depend_on_the_level():
    a, b = np.split(np.random.default_rng(0).normal(size=(2, 7, 9)).astype(np.complex64), 2)
    expected = local_snr_db(a, b)
    np.testing.assert_allclose(local_snr_db(1e-2 * a, 1e-2 * b), expected, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"windows_ms": ()},
        {"windows_ms": (5.0, 0.01)},
        {"windows_ms": (math.nan,)},
        {"windows_ms": (math.inf,)},
        {"compression": 0.0},
        {"compression": 1.5},
        {"lost_weight": -1.0},
        {"magnitude_weight": math.inf},
        {"complex_weight": math.nan},
        {"disturbance_weight": -1.0},
        {"dnsmos_weight": math.nan},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings: dict):
    with pytest.raises(BadInput, match="loss") as error:
        SpectralLoss(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings", [{"clip_ms": 100}, {"snr_weight": -1.0}, {"snr_weight": math.nan}], ids=str
)
def test_tasks_that_make_no_sense(settings: dict):
    with pytest.raises(BadInput, match=f"task.{next(iter(settings))}"):
        Enhancement(**settings)


def test_windows_fit_the_clip():
    """A loss that saw no window would be no number."""
    long = SpectralLoss(windows_ms=(500.0,))
    with pytest.raises(BadInput, match="windows_ms"):
        Enhancement(clip_ms=300, loss=long)
