"""aqtaudio data synth with texts, neighbours, data import: what they make, print and refuse."""

import json

import numpy as np
import pytest
import soundfile
from noisy_trees import write_voicebank_demand

from aqtaudio.data import dictionary, manifest, sidecars

pytestmark = pytest.mark.optimized(False)


def test_texts_are_spoken_and_gone_on_with(cli, tmp_path):
    pytest.importorskip("espeakng_loader")
    file, out = tmp_path / "texts.txt", tmp_path / "out"
    file.write_text("snowboy\tS N OW1 B OY2\n23\n")
    arguments = ("data", "synth", "--say", "hey computer", "--texts", file, "--out", out)
    more = ("--takes", 3, "--label", "speech", "--clip-ms", 1500, "--voice-names", "f1,f2,m1")
    status, printed, err = cli(*arguments, *more)
    assert (status, printed) == (0, f"{out}\n")
    assert err.splitlines()[-1].startswith("9 of 9 clips (0 were there), ") and "clips/s" in err
    rows = manifest.read(out)
    assert sorted({row.text for row in rows}) == ["23", "hey computer", "snowboy"]
    assert {row.label for row in rows} == {"speech"} and {row.seconds for row in rows} == {1.5}
    assert {row.speaker for row in rows} == {"espeak:f1", "espeak:f2", "espeak:m1"}
    before = {row.path: row.file.read_bytes() for row in rows}
    rows[4].file.unlink()
    (out / manifest.NAME).unlink()
    text = (out / "synth.json").read_text()
    (out / "synth.json").write_text(text.replace('"complete": true', '"complete": false'))
    status, _, err = cli(*arguments, *more)
    assert status == 0 and "9 of 9 clips (8 were there)" in err
    assert {row.path: row.file.read_bytes() for row in manifest.read(out)} == before
    assert cli(*arguments, *more)[0] == 0 and cli("data", "check", out)[0] == 0


def test_neighbours_are_printed(cli, dictionary_file):
    arguments = ("neighbours", "hey computer", "-n", 9, "--dictionary", dictionary_file)
    status, printed, err = cli(*arguments)
    first, *lines = printed.splitlines()
    assert status == 0 and not err and first == "hey computer -> HH EY . K AH M P Y UW T ER"
    assert len(lines) == 9 and lines == sorted(lines, key=lambda line: float(line.split()[0]))
    assert lines[0].split() == "0.20 he computer HH IY . K AH M P Y UW T ER near".split()
    value = json.loads(cli(*arguments, "--json")[1])
    assert (value["text"], value["understood"]) == ("hey computer", first)
    assert value["words"][0] == {"text": "hey", "phones": ["HH EY"], "source": "dictionary"}
    assert value["neighbours"][0] == {
        **{"text": "he computer", "phones": ["HH IY", "K AH M P Y UW T ER"]},
        **{"distance": 0.2, "kind": "near"},
    }
    assert [each["text"] in line for each, line in zip(value["neighbours"], lines, strict=True)]


def test_without_a_dictionary_a_line_says_so(cli, refused, monkeypatch):
    monkeypatch.setattr(dictionary, "find", lambda file: None)
    status, printed, err = cli("neighbours", "hey nabu", "--pronounced", "HH EY | N AA B UW")
    assert status == 0 and "hey /L AA B UW/" in printed
    assert err.startswith("no pronouncing dictionary (pip install aqtaudio[dictionary]")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["23"], "'23' has digits"),
        (["hey", "-n", "0"], "0 is not at least 1"),
        (["hey", "-n", "1001"], "1001 neighbours; allowed: 1 to 1000"),
        (["hey", "--pronounced", "HH QQ"], "'QQ' is no ARPAbet"),
        (["hey", "--dictionary", "nowhere"], "nowhere cannot be read"),
        (["zzyx", "--language", "none"], "no pronunciation of 'zzyx'"),
    ],
)
def test_what_has_no_neighbours(refused, dictionary_file, arguments, said):
    if "--dictionary" not in arguments:
        arguments = [*arguments, "--dictionary", dictionary_file]
    assert said in refused("neighbours", *arguments)


def test_neighbours_are_spoken_beside_the_texts(cli, tmp_path, dictionary_file):
    pytest.importorskip("espeakng_loader")
    out = tmp_path / "out"
    arguments = ("data", "synth", "--say", "Jarvis", "computer", "--neighbours", 3)
    more = ("--dictionary", dictionary_file, "--voice-names", "f1,m1", "--out", out)
    status, printed, err = cli(*arguments, *more)
    assert (status, printed) == (0, f"{out}\n")
    assert err.startswith("jarvis -> JH AA R V AH S or JH AA R V IH S: 3 neighbours\n")
    rows, of = manifest.read(out), sidecars.neighbours(out)
    assert len(rows) == 8 and all(row.label == row.text for row in rows)
    assert sorted(of.values()) == 3 * ["Jarvis"] + 3 * ["computer"]
    assert {row.label for row in rows if row.path not in of} == {"Jarvis", "computer"}
    assert cli(*arguments, *more)[0] == 0 and cli("data", "check", out)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--neighbours", "3"], "--neighbours: only with --say or --texts"),
        (["--say", "stop", "--dictionary", "x"], "--dictionary: only with --neighbours"),
        (["--say", "stop", "--neighbours", "0"], "0 is not at least 1"),
        (["--say", "stop", "--words", "a"], "--words: not with --say or --texts"),
        (["--voices", "kokoro"], "--voices: only with --say or --texts"),
        (["--clip-ms", "1000"], "--clip-ms: only with"),
        (["--say", "stop", "--voices", "robot"], "allowed: espeak, kokoro, piper:FILE.onnx"),
        (["--say", "stop", "--voices", "piper:"], "allowed: espeak"),
        (["--say", "stop", "--voices", "piper:none.onnx"], "none.onnx cannot be read"),
        (["--say", "stop", "--voices", "kokoro", "--voice-files", "none"], "no folder none"),
        (["--say", "stop", "--voice-files", "x"], "only with --voices kokoro"),
        (["--say", "stop", "--voice-names", "nobody"], "'nobody'; allowed: Alex"),
        (["--say", "\U0001f600"], "nobody speaks"),
        (["--say", ""], "no letter or digit"),
        (["--texts", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_what_cannot_be_spoken(refused, tmp_path, arguments, said):
    assert said in refused("data", "synth", *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_import_says_what_is_left_out(cli, refused, tmp_path):
    source, out = tmp_path / "ESC-10", tmp_path / "out"
    (source / "001 - Dog bark").mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 8000)
    for fold in (1, 4):
        soundfile.write(source / f"001 - Dog bark/{fold}-1-A.ogg", noise * fold / 4, 16000)
    (source / "001 - Dog bark/5-2-A.ogg").write_bytes(b"")
    status, printed, _ = cli("data", "import", "esc", source, "--out", out)
    assert status == 0
    assert printed == f"left out, empty: 1 (001 - Dog bark/5-2-A.ogg)\n{out}\n"
    message = refused("data", "import", "sonyc-ust", source, "--out", tmp_path / "other")
    assert "annotations.csv" in message
    message = refused("data", "import", "esc", source, "--out", "x", "--twelve-labels")
    assert "only with speech-commands" in message
    assert "only with esc" in refused(
        "data", "import", "urbansound8k", source, "--out", "x", "--esc10"
    )


def test_import_of_noisy_and_clean_trees(cli, refused, tmp_path):
    source, out = write_voicebank_demand(tmp_path / "tree"), tmp_path / "out"
    status, printed, _ = cli("data", "import", "voicebank-demand", source, "--out", out, "--link")
    assert status == 0
    assert printed == f"left out, not audio: 1 (testset_txt/p232_001.txt)\n{out}\n"
    assert {row.split for row in manifest.read(out)} == {"train", "val", "test"}
    said = refused("data", "import", "dns-challenge", source, "--out", tmp_path / "other")
    assert "datasets/clean and datasets/noise; allowed: a DNS Challenge tree" in said
    said = refused("data", "import", "voicebank-demand", out / "none", "--out", "x")
    assert "allowed: a VoiceBank-DEMAND tree" in said
