"""Enhancers whose answer to a level is known."""

import math

import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement.levels import level_curve, step_recovery

pytestmark = pytest.mark.optimized(False)

HZ = 16000
AT_S = 2.0
LOSSES = [f"loss_{window}_db" for window in ("0_500_ms", "500_1500_ms", "1500_3000_ms")]
LOSSES.append("loss_3000_ms_on_db")


def mixture(seconds: float = 7.0) -> tuple[np.ndarray, np.ndarray]:
    """Steady "speech" and the same in noise of 10 dB less."""
    draw = np.random.default_rng(0)
    clean, noise = draw.standard_normal((2, int(seconds * HZ)))
    return 0.05 * clean, 0.05 * (clean + 10**-0.5 * noise)


def identity(x: np.ndarray) -> np.ndarray:
    assert x.dtype == np.float32
    return x


def gate(threshold: float):
    """Mutes whole signals that are too quiet."""
    return lambda x: x if np.sqrt(np.mean(x**2)) > threshold else 0 * x


def muting(start_s: float, stop_s: float = 100.0, by: float = 0.0):
    """Mutes so long after a step down, and only then."""

    def enhance(x: np.ndarray) -> np.ndarray:
        at = int(AT_S * HZ)
        if np.std(x[at:]) > 0.5 * np.std(x[:at]):
            return x
        x = x.copy()
        x[at + int(start_s * HZ) : at + int(stop_s * HZ)] *= by
        return x

    return enhance


def step(enhance, step_db: float = -30.0, seconds: float = 7.0) -> dict[str, float]:
    return step_recovery(*mixture(seconds), step_db, AT_S, enhance, HZ)


def test_identity_has_a_flat_curve():
    rows = level_curve(*mixture(2), [-60, -40, -25, -10], identity)
    assert [row["level_dbfs"] for row in rows] == [-60, -40, -25, -10]
    for row in rows:
        assert row["si_sdr_db"] == pytest.approx(10.0, abs=0.1)
        assert row["si_sdr_improvement_db"] == pytest.approx(0.0, abs=1e-4)
        assert row["output_ratio_db"] == pytest.approx(0.0, abs=1e-4)


def test_levels_are_those_of_the_mixture():
    heard = []
    level_curve(*mixture(2), [-60, -10], lambda x: heard.append(x) or x)
    found = [20 * np.log10(np.sqrt(np.mean(x.astype(np.float64) ** 2))) for x in heard]
    assert found == pytest.approx([-25, -60, -10], abs=1e-3)


def test_a_gate_shows_in_the_curve():
    muted, open_ = level_curve(*mixture(2), [-50, -30], gate(10 ** (-40 / 20)))
    assert muted["output_ratio_db"] == -120.0 and math.isnan(muted["si_sdr_db"])
    assert open_["output_ratio_db"] == pytest.approx(0.0, abs=1e-4)


def test_the_ratio_is_over_speech():
    """What happens in pauses does not count."""
    clean, noisy = mixture(2)
    clean[HZ:] = 0

    def enhance(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[HZ:] *= np.std(x)
        return x

    (row,) = level_curve(clean, noisy, [-50], enhance)
    assert row["output_ratio_db"] == pytest.approx(0.0, abs=1e-4)


def test_curve_of_silence_and_of_noise_alone():
    _, noise = mixture(1)
    for clean, noisy in ((0 * noise, 0 * noise), (0 * noise, noise)):
        (row,) = level_curve(clean, noisy, [-30], identity)
        assert math.isnan(row["si_sdr_improvement_db"]) and math.isnan(row["output_ratio_db"])


@pytest.mark.parametrize("step_db", [-40.0, -20.0, 0.0, 30.0])
def test_what_follows_the_step_loses_nothing(step_db: float):
    found = step(identity, step_db)
    assert [found[name] for name in LOSSES] == pytest.approx([0.0] * 4, abs=1e-4)
    assert found["recovery_ms"] == 0.0 and found["recovered"] == 1.0


def test_recovery_is_the_time_of_muting():
    found = step(muting(0.0, 0.3))
    assert found["recovery_ms"] == pytest.approx(300, abs=20) and found["recovered"] == 1.0
    assert found["loss_0_500_ms_db"] == pytest.approx(10 * math.log10(5 / 2), abs=0.2)
    assert [found[name] for name in LOSSES[1:]] == pytest.approx([0.0] * 3, abs=1e-3)


def test_a_late_dropout_is_no_recovery_before_it():
    assert step(muting(1.0, 1.6))["recovery_ms"] == pytest.approx(1600, abs=20)


def test_the_fall_counts_in_its_window():
    found = step(muting(1.5, 3.0, by=0.1))
    assert [found[name] for name in LOSSES] == pytest.approx([0, 0, 20, 0], abs=0.01)


def test_a_latch_never_recovers():
    found = step(muting(0.0))
    assert found["recovery_ms"] == math.inf and found["recovered"] == 0.0
    assert [found[name] for name in LOSSES] == [120.0] * 4


def test_a_loss_below_3_db_is_none():
    assert step(muting(0.0, by=10 ** (-2.5 / 20)))["recovery_ms"] == 0.0
    assert step(muting(0.0, by=10 ** (-3.5 / 20)))["recovery_ms"] == math.inf


def test_a_burst_makes_up_for_nothing():
    def enhance(x: np.ndarray) -> np.ndarray:
        at, x = int(AT_S * HZ), muting(0.02, 0.5)(x).copy()
        if np.std(x[at:]) < 0.5 * np.std(x[:at]):
            x[at : at + HZ // 50] *= 30
        return x

    assert step(enhance)["recovery_ms"] == pytest.approx(500, abs=20)


def test_windows_without_speech_are_nan():
    found = step(identity, seconds=3.0)
    assert found["loss_500_1500_ms_db"] == pytest.approx(0.0, abs=1e-4)
    assert math.isnan(found["loss_1500_3000_ms_db"]) and math.isnan(found["loss_3000_ms_on_db"])


def test_steps_in_silence_and_noise_have_no_recovery():
    _, noise = mixture(4)
    for clean, noisy in ((0 * noise, 0 * noise), (0 * noise, noise)):
        found = step_recovery(clean, noisy, -30.0, AT_S, identity, HZ)
        assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("at_seconds", [0.0, 1.0, 5.0])
def test_a_step_outside_is_refused(at_seconds: float):
    clean, noisy = mixture(1)
    with pytest.raises(BadInput, match="inside"):
        step_recovery(clean, noisy, -30.0, at_seconds, identity, HZ)
