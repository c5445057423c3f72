"""Keyword runs in what recordings may go through."""

import json

import numpy as np
import pytest

from aqtaudio.commands.command_line import main
from aqtaudio.data.conditions import conditions
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup

pytestmark = pytest.mark.optimized(False)
SETUP = Setup(LogMel(mel_bands=8), 1000)


class LoudIsYes:
    """A network that takes loud clips for the first word, others for silence."""

    def whole(self, features, at_once=128):
        loud = features.mean((1, 2)) > 1
        return np.where(loud[:, None], np.eye(4)[0], np.eye(4)[3])


def test_a_run_that_goes_by_level_is_found_out(words, monkeypatch):
    def few(noises):
        return [one for one in conditions(noises) if one.value in (-60, 0)]

    monkeypatch.setattr("aqtaudio.tasks.keywords.robustness.conditions", few)
    task = Keywords(("yes", "no"), unheard=("bed",))
    data = task.load([words.folder], SETUP, ("train", "val"))
    items = data.evaluation_list("val")
    value = task.robustness(LoudIsYes(), data, items, SETUP, "val", lambda text: None)
    rows = {row["name"]: row for row in value["conditions"]}
    assert list(rows) == ["level -60 dBFS", "level 0 dBFS", "snr 0 dB"]
    assert value["n"] == len(items)
    loud, quiet = (rows[f"level {level} dBFS"] for level in (0, -60))
    assert quiet["figures"]["keywords"] == 0.0 and quiet["figures"]["taken for a keyword"] == 0.0
    assert loud["figures"]["keywords"] == 5 / 11 and loud["counts"]["keywords"] == [5, 11]
    assert loud["counts"]["taken for a keyword"] == [15, 15]
    assert loud["counts"]["words never heard"] == [0, 5]
    lines = task.show_robustness(value)
    assert lines[0] == "in per cent:" and lines[1] == ""
    lines = lines[2:]
    assert len(lines) == 2 + len(rows) and lines[2].startswith("| level -60 dBFS | ")
    assert "| words never heard |" in lines[0] and " 45.5 |" in "".join(lines)


def test_the_verb(tiny_run, tone_corpus, capsys):
    arguments = ["robustness", str(tiny_run), "--data", str(tone_corpus), "--limit", "8"]
    assert main([*arguments, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["runtime"] == "integer" and value["n"] == 8
    assert main(arguments) == 0
    assert f"| {value['conditions'][0]['name']} |" in capsys.readouterr().out
