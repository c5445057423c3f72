"""Clips in the page of a report: what runs made, the best ones first, within a budget."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from fake_rows import fake_enhancement_rows

from aqtaudio.errors import BadInput
from aqtaudio.study.report import write_report
from aqtaudio.study.store import Store
from aqtaudio.sweep import listening as module
from aqtaudio.sweep.listening import CLIP_MS, listening
from aqtaudio.tasks.task import Sounds

HZ = 16000
pytestmark = pytest.mark.optimized(False)


@pytest.fixture
def study(tmp_path):
    for row in fake_enhancement_rows():
        Store(tmp_path).append(row)
        if row["precision"] != "float":
            (tmp_path / "artifacts" / row["run_id"]).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def sounds(monkeypatch):
    """A clip that is the run's own."""

    def made(run, folders):
        rng = np.random.default_rng(0)
        given, wanted = 0.1 * rng.standard_normal((2, 6 * HZ))
        own = np.full(6 * HZ, 0.25 + 0.001 * int(run.path.name[0], 16))
        return [Sounds("SNR 5 dB", HZ, *(x.astype(np.float32) for x in (given, own, wanted)))]

    monkeypatch.setattr(module, "_sounds", made)


def decoded(url: str) -> np.ndarray:
    kind, text = url.split(",")
    assert kind == "data:audio/flac;base64"
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="int16")
    assert rate_hz == HZ
    return samples


@pytest.mark.usefixtures("sounds")
def test_the_page_plays_what_runs_made(study):
    heard = listening(study, [])
    (clip,) = heard
    rows = [row for row in fake_enhancement_rows() if row["precision"] != "float"]
    best = max(rows, key=lambda row: row["metrics"]["integer"]["pesq"])
    assert list(clip["made"])[0] == best["run_id"] and len(clip["made"]) == len(rows)
    for name, url in clip["made"].items():
        samples = decoded(url)
        assert len(samples) == HZ * CLIP_MS // 1000
        assert (samples == round(32768 * (0.25 + 0.001 * int(name[0], 16)))).all()
    assert np.std(decoded(clip["given"])) > 3000
    page = write_report(study, heard=heard).read_text()
    assert "media-src data:" in page
    data = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert json.loads(data)["heard"] == heard
    assert '"heard":[]' in write_report(study).read_text()


@pytest.mark.usefixtures("sounds")
def test_no_more_than_there_is_room_for(study):
    (whole,) = listening(study, [])
    all_of_it = sum(map(len, (whole["given"], whole["wanted"], *whole["made"].values())))
    (clip,) = listening(study, [], most_bytes=all_of_it - 1)
    assert len(clip["made"]) == len(whole["made"]) - 1
    with pytest.raises(BadInput, match="more than 1,000 bytes"):
        listening(study, [], most_bytes=1000)


def test_nothing_to_listen_to(tmp_path):
    with pytest.raises(BadInput, match="no artifact to listen to"):
        listening(tmp_path, [])
