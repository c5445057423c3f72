"""LLR, WSS, segmental SNR and the composites against the values of published implementations."""

import math

import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement import composite

HZ = 16000


def voice(seconds: float = 3.0) -> np.ndarray:
    """Harmonics of a wandering pitch below two formants, in bursts, over a faint hiss."""
    draw, time = np.random.RandomState(0), np.arange(int(seconds * HZ)) / HZ
    phase = 2 * np.pi * np.cumsum(130 + 35 * np.sin(2 * np.pi * 0.7 * time)) / HZ
    sound = np.zeros_like(time)
    for harmonic in range(1, 40):
        hz = 130 * harmonic
        formants = sum(1 / (1 + ((hz - at) / 200) ** 2) for at in (600, 1700, 3100))
        sound += (formants + 0.02) * np.sin(harmonic * phase + 6 * draw.uniform())
    bursts = np.clip(np.sin(2 * np.pi * 2.1 * time), 0, 1)
    return 0.05 * sound * bursts + 1e-4 * draw.standard_normal(len(time))


def noise(samples: int, seed: int) -> np.ndarray:
    """Brownish."""
    white = np.random.RandomState(seed).standard_normal(samples + 7)
    return 0.02 * np.convolve(white, np.arange(8, 0, -1) / 8, "valid")


def hissing() -> np.ndarray:
    clean = voice()
    return clean + 0.02 * np.random.RandomState(1).standard_normal(len(clean))


def rumbling() -> np.ndarray:
    clean = voice()
    return clean + noise(len(clean), 2)


def muffled() -> np.ndarray:
    return 0.7 * np.convolve(voice(), [0.1, 0.2, 0.4, 0.2, 0.1], "same")


def gated() -> np.ndarray:
    """Where nobody speaks most of the noise is gone."""
    noisy, clean = rumbling(), voice()
    level = np.convolve(np.abs(clean), np.full(800, 1 / 800), "same")
    return noisy * np.where(level > 0.005, 0.9, 0.1)


DEGRADED = {"hissing": hissing, "rumbling": rumbling, "muffled": muffled, "gated": gated}

# LLR, WSS, segmental SNR: pysepm-evo 0.1.1 (PyPI; its `llr` with used_for_composite=True). PESQ:
# pesq 0.0.4, wide band. Composites, and once more the first three: schmiph2/pysepm at 7ef88af.
GOLDEN = {
    "hissing": {
        **{"llr": 1.5880107598560698, "wss": 26.827324175587446},
        **{"segmental_snr_db": -0.15185973032498043, "pesq": 1.1569393873214722},
        **{"csig": 1.9151254610826651, "cbak": 1.989658594900078, "covl": 1.5244834285183653},
    },
    "rumbling": {
        **{"llr": 1.5795815397069748, "wss": 41.79436722272353},
        **{"segmental_snr_db": -2.6211225210917677, "pesq": 1.156160831451416},
        **{"csig": 1.7886262720022152, "cbak": 1.7289535880459304, "covl": 1.4234031504293543},
    },
    "muffled": {
        **{"llr": 0.9394488075235986, "wss": 0.40632459539892196},
        **{"segmental_snr_db": 4.180056110070085, "pesq": 4.588737964630127},
        **{"csig": 4.8896592483715935, "cbak": 4.087916009859824, "covl": 4.804091999907377},
    },
    "gated": {
        **{"llr": 1.58235836111116, "wss": 41.615366862401444},
        **{"segmental_snr_db": -2.281921007526585, "pesq": 1.2073768377304077},
        **{"csig": 1.8182631778064393, "cbak": 1.7760575369241496, "covl": 1.464463305447254},
    },
}


@pytest.mark.parametrize("name", DEGRADED)
def test_published_implementations_agree(name: str):
    golden = dict(GOLDEN[name])
    found = composite.composites(voice(), DEGRADED[name](), golden.pop("pesq"))
    assert found == pytest.approx(golden, rel=1e-8)


@pytest.mark.parametrize("name", DEGRADED)
def test_pesq_is_that_of_its_package(name: str):
    pytest.importorskip("pesq")
    from aqtaudio.tasks.sound_quality import pesq_wb

    assert pesq_wb(voice(), DEGRADED[name](), HZ) == pytest.approx(GOLDEN[name]["pesq"], abs=1e-4)


def test_of_the_reference_itself():
    clean = voice()
    found = composite.composites(clean, clean, 4.644)
    assert found == pytest.approx(
        {"csig": 5, "cbak": 5, "covl": 5, "llr": 0, "wss": 0, "segmental_snr_db": 35}, abs=1e-9
    )


def test_more_noise_is_worse():
    clean = voice()
    louder = [composite.composites(clean, clean + g * noise(len(clean), 3), 2) for g in (0.1, 1)]
    for name in ("csig", "cbak", "covl", "segmental_snr_db"):
        assert louder[0][name] > louder[1][name]


@pytest.mark.parametrize("cut", [slice(0, 20000), slice(20000, None)])
def test_digital_silence_in_either_signal_has_finite_measures(cut: slice):
    clean, noisy = voice(), rumbling()
    silent, muted = clean.copy(), noisy.copy()
    silent[cut], muted[cut] = 0, 0
    for pair in ((silent, noisy), (clean, muted), (silent, muted), (0 * clean, 0 * clean)):
        assert all(map(math.isfinite, composite.composites(*pair, 2.0).values()))


def test_without_pesq_there_is_no_composite():
    found = composite.composites(voice(), hissing(), math.nan)
    assert all(math.isnan(found[name]) for name in ("csig", "cbak", "covl"))
    assert math.isfinite(found["llr"])


@pytest.mark.parametrize("heard", [np.zeros(HZ), np.zeros((3 * HZ, 1))])
def test_signals_that_cannot_be_compared_are_refused(heard: np.ndarray):
    with pytest.raises(BadInput, match="alike"):
        composite.composites(voice(), heard, 2.0)


def test_too_few_samples_are_refused():
    with pytest.raises(BadInput, match=r"needed: 37\.5 ms"):
        composite.composites(np.ones(599), np.ones(599), 2.0)
