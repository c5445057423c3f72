"""detector.json: what is written is read, and damage is one clear line."""

import dataclasses
import json

import pytest

from aqtaudio.detection import stored
from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.errors import BadInput

AT = DetectorSettings(smoothing_ms=120, threshold=0.875, refractory_ms=500)


def test_what_is_written_is_read(tmp_path):
    assert stored.read(tmp_path) is None
    more = {"events": 3} | dataclasses.asdict(AT)
    stored.write(tmp_path, {"rate": 1.0, "words": {"yes": more, "no": more | {"threshold": 0.5}}})
    found = stored.read(tmp_path)
    assert found == {"yes": AT, "no": dataclasses.replace(AT, threshold=0.5)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"words": {"yes": {"threshold": 0.5}}}',
        '{"words": 3}',
        '{"words": {"a": 1}}',
    ],
)
def test_damage(tmp_path, text: str):
    (tmp_path / stored.NAME).write_text(text)
    with pytest.raises(BadInput, match="does not hold the settings.*`aqtaudio detect` writes"):
        stored.read(tmp_path)


def test_impossible_settings(tmp_path):
    words = {"yes": dataclasses.asdict(AT) | {"threshold": 2}}
    (tmp_path / stored.NAME).write_text(json.dumps({"words": words}))
    with pytest.raises(BadInput, match="detector.json: detector: threshold 2.0; allowed"):
        stored.read(tmp_path)
