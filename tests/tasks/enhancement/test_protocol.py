"""Published test sets: what is scored, what is kept, what is refused."""

import contextlib
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from noisy_trees import write_dns_test_set, write_voicebank_demand

from aqtaudio.data import dns_challenge, voicebank_demand
from aqtaudio.errors import BadInput
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement.protocol import TITLES, Protocol, table


class Passing:
    """A stream that multiplies by `gain`, half of it late."""

    delay_ms = 32.0

    def __init__(self, rate_hz: int, gain: float):
        self.frontend = SimpleNamespace(sample_rate_hz=rate_hz, hop_samples=rate_hz // 100)
        self._gain, self._late = gain, np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        known = np.concatenate([self._late, self._gain * samples])
        self._late = known[len(known) // 2 :]
        return known[: len(known) // 2]

    def finish(self) -> np.ndarray:
        return self._late


@dataclasses.dataclass
class Opener:
    """Opens streams; the process is killed when it asks for one more than `at_most`."""

    rate_hz: int = 16000
    gain: float = 1.0
    at_most: int = 100
    opened: int = 0

    @contextlib.contextmanager
    def __call__(self):
        if self.opened == self.at_most:
            raise KeyboardInterrupt
        self.opened += 1
        yield Passing(self.rate_hz, self.gain)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """PESQ and DNSMOS take a second a recording; what they say of silence stays."""
    monkeypatch.setattr(sound_quality, "models_are_installed", lambda: True)
    dnsmos = dict(ovrl=2.0, sig=3.0, bak=1.0, p808=2.5)
    monkeypatch.setattr(sound_quality, "dnsmos", lambda heard, rate_hz: dnsmos)
    monkeypatch.setattr(
        sound_quality, "pesq_wb", lambda clean, heard, rate_hz: 2.0 if heard.any() else np.nan
    )
    monkeypatch.setattr(sound_quality, "stoi", lambda clean, heard, rate_hz: 0.9)


@pytest.fixture
def tree(tmp_path) -> Path:
    return write_voicebank_demand(tmp_path / "tree")


def protocol(folder: Path, tree: Path, opener: Opener, told: list | None = None) -> Protocol:
    lines: list[Any] = [] if told is None else told
    how = folder, lambda *numbers: lines.append(numbers)
    return Protocol(opener, voicebank_demand.pairs(tree), *how)


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_what_passes_unchanged_is_scored_as_what_goes_in(tree, tmp_path, gain):
    found = protocol(tmp_path / "kept", tree, Opener(gain=gain)).result()
    noisy, output = found["noisy"], found["output"]
    assert (noisy == output) == (gain == 1)
    assert output["si_sdr_db"] == pytest.approx(noisy["si_sdr_db"], abs=1e-6)
    assert noisy["si_sdr_db"] > 0 and noisy["dnsmos_sig"] == 3
    assert set(noisy["n"]) == set(TITLES) and noisy["n"]["pesq"] == 4 == found["n"]
    assert found["delay_ms"] == 32 and found["real_time_factor"] > 0
    json.dumps(found, allow_nan=False)


def test_scores_are_those_at_16_khz(tree, tmp_path):
    """Also of a network at another rate; what lies above it is lost."""
    rates_hz = (8000, 16000, 48000)
    lower, same, higher = (
        protocol(tmp_path / str(rate_hz), tree, Opener(rate_hz)).result() for rate_hz in rates_hz
    )
    assert lower["noisy"] == same["noisy"] == higher["noisy"]
    assert higher["output"]["wss"] == pytest.approx(same["output"]["wss"], rel=0.02)
    assert lower["output"]["llr"] > 1.5 * same["output"]["llr"]


def test_intervals_are_over_speakers_where_names_tell_them(tree, tmp_path):
    found = protocol(tmp_path / "kept", tree, Opener()).result()
    assert (found["intervals_over"], found["groups"]) == ("speakers", 2)
    assert "too few for intervals" in table(found)[-1]
    pairs = dns_challenge.pairs(write_dns_test_set(tmp_path / "dns"))
    found = Protocol(Opener(), pairs, tmp_path / "dns_kept", lambda *numbers: None).result()
    assert (found["intervals_over"], found["groups"]) == ("files", 3)
    assert "too few" not in table(found)[-1]


def test_a_killed_one_goes_on(tree, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        protocol(tmp_path / "killed", tree, Opener(at_most=3)).result()
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "killed").iterdir()}
    assert len(kept) == 3
    told, rest = [], Opener()
    found = protocol(tmp_path / "killed", tree, rest, told).result()
    assert told == [(4, 4, 3)] and rest.opened == 2  # one more for the speed
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())
    undisturbed = protocol(tmp_path / "other", tree, Opener()).result()
    for name in ("noisy", "output", "n"):
        assert found[name] == undisturbed[name]


def test_what_has_no_score_is_counted(tree, tmp_path):
    folder = tree / "noisy_testset_wav"
    soundfile.write(folder / "p232_001.wav", np.zeros(24000), 48000)
    found = protocol(tmp_path / "kept", tree, Opener()).result()
    assert found["noisy"]["left_out"] == dict.fromkeys(("pesq", "csig", "cbak", "covl"), 1) | {
        "si_sdr_db": 1
    }
    assert json.loads((tmp_path / "kept/p232_001.json").read_text())["noisy"]["pesq"] is None
    lines = table(found)
    assert "| PESQ (wide band) | 2.000 [2.000, 2.000], 1 without a score |" in lines[2]


def test_a_damaged_recording_is_named(tree, tmp_path):
    pairs = voicebank_demand.pairs(tree)
    pairs[0].noisy.write_bytes(b"RIFF no more")
    with pytest.raises(BadInput, match="p232_001.wav is not audio"):
        Protocol(Opener(), pairs, tmp_path / "kept", lambda *numbers: None).result()


def test_without_the_packages_nothing_is_begun(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(sound_quality, "models_are_installed", lambda: False)
    with pytest.raises(BadInput, match=r"aqtaudio\[quality\]"):
        protocol(tmp_path / "kept", tree, Opener()).result()
    assert not (tmp_path / "kept").exists()


def test_what_the_command_needs(tree, tmp_path, refused):
    run, asked = ("evaluate", tmp_path), ("--protocol", "voicebank-demand")
    assert "--data DIR is needed, or --protocol NAME --pairs DIR" in refused(*run)
    assert "needs --pairs DIR" in refused(*run, *asked)
    assert "one of them" in refused(*run, *asked, "--pairs", tree, "--data", tree)
    assert "are of --protocol" in refused(*run, "--data", tree, "--pairs", tree)
    assert "invalid choice: 'dns'" in refused(*run, "--protocol", "dns", "--pairs", tree)
    assert "no such run directory; allowed: one" in refused(
        "evaluate", "no", *asked, "--pairs", tree
    )
    assert "no such folder" in refused(*run, *asked, "--pairs", tmp_path / "nowhere")
    assert "allowed: a VoiceBank-DEMAND tree" in refused(*run, *asked, "--pairs", tmp_path)
    dns = ("--protocol", "dns-no-reverb", "--pairs", tree)
    assert "allowed: a DNS Challenge tree" in refused(*run, *dns)
    soundfile.write(tree / "noisy_testset_wav/p257_001.wav", np.ones(4000) / 2, 8000)
    assert "p257_001.wav: 8000 Hz; allowed" in refused(*run, *asked, "--pairs", tree)
