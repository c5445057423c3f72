"""An encoder of phones is trained with its network of filters, and takes keywords."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus import EXPERIMENT
from small_dictionary import TEXT

from aqtaudio.adaptation import listed_pairs, verification
from aqtaudio.commands.command_line import main
from aqtaudio.data import dictionary, manifest
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.models.phone_encoder import PhoneEncoder
from aqtaudio.runs.parity import parity
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.text_keywords.filters import Shape
from aqtaudio.tasks.text_keywords.task import TextKeywords

pytestmark = pytest.mark.optimized(False)
RATE_HZ, PHONE_MS = 16000, 120
WORDS = ("computer", "jarvis", "hey", "say", "go", "no", "service", "composer", "suitor", "comb")
STEPS = Optimizer(steps=3, batch_size=4, learning_rate=3e-3, warmup_steps=1)
TEXT_RUN = Experiment(
    model=PhoneEncoder(width=8, kernels=(3,)),
    task=TextKeywords(
        clip_ms=3000, mixing=None, channels=44, filters=Shape(2, 2, 2, 3), passes=1, phrases=2
    ),
    frontend=EXPERIMENT.frontend,
    stream_block_frames=1,
    stream_context_clips=0,
    optimizer=STEPS,
    finetune=dataclasses.replace(STEPS, steps=2),
    calibration_batches=1,
    evaluate_every=3,
)


def sounds(phones: list[str]) -> np.ndarray:
    """A tone per phone."""
    t = np.arange(RATE_HZ * PHONE_MS // 1000) / RATE_HZ
    tones = [0.3 * np.sin(2 * np.pi * (200 + 40 * sum(map(ord, one)) % 3000) * t) for one in phones]
    return np.concatenate(tones)


def write_sentences(folder: Path) -> None:
    """Sentences of two words, with transcripts: 24 to train on and 10 others."""
    folder.mkdir()
    (folder / "words.dict").write_text(TEXT)
    known, rng = dictionary.read(folder / "words.dict"), np.random.default_rng(0)
    rows, lines = [], ["path\ttext"]
    for number in range(34):
        said = rng.choice(WORDS, 2, replace=False)
        path = f"{number}.flac"
        phones = [phone for word in said for phone in known.words[word][0]]
        samples = sounds(phones)
        soundfile.write(folder / path, samples, RATE_HZ)
        split = "train" if number < 24 else "val"
        told = path, "speech", f"{split}{number % 5}", split, "made", "CC0"
        rows.append(manifest.Recording(*told, len(samples) / RATE_HZ, RATE_HZ, folder))
        lines.append(f"{path}\t{' '.join(said)}")
    manifest.write(folder, rows)
    (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def sentences(once) -> Path:
    return once("sentences", write_sentences)


@pytest.fixture(scope="module")
def text_run(once, sentences) -> Path:
    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            known = dictionary.read(sentences / "words.dict")
            patch.setattr(dictionary, "find", lambda *given: known)
            train(TEXT_RUN, [sentences], folder, say=lambda text: None)

    return once("text_run", write)


@pytest.mark.slow
def test_a_run_keeps_what_keywords_need(text_run, sentences, tmp_path, monkeypatch, capsys):
    known = dictionary.read(sentences / "words.dict")
    monkeypatch.setattr(dictionary, "find", lambda *given: known)
    row = json.loads((text_run / "row.json").read_text())
    assert {"float", "quantized", "integer"} <= row["metrics"].keys()
    assert parity(Run(text_run), n=64)["mismatches"] == 0
    given = ["verification", text_run, "--data", sentences, "--json"]
    assert main([str(one) for one in given]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["pairs"] >= 10
    assert all(0 <= value[f"sum_{kind}"]["eer"] <= 1 for kind in verification.KINDS)
    write_pairs(sentences, tmp_path / "pairs.csv")
    given = ["verification", text_run, "--pairs", tmp_path / "pairs.csv", "--json"]
    assert main([str(one) for one in [*given, "--recordings", sentences]]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["pairs"] == {"easy": 34, "positive": 34}
    assert value["left_out"] == {"no words that can be pronounced": 1}
    assert 0 <= value["sum_easy"]["eer"] <= 1
    assert "sum_hard" not in value
    rows = (tmp_path / "pairs.csv").read_text().splitlines()[1:3]
    text = rows[0].split(",")[1]
    one = [",".join([*row.split(",")[:1], text, *row.split(",")[2:]]) for row in rows]
    lines = ["anchor,anchor_text,comparison,target,type", *one]
    (tmp_path / "one.csv").write_text("\n".join(lines) + "\n")
    given = ["verification", text_run, "--pairs", tmp_path / "one.csv"]
    assert main([str(one) for one in [*given, "--recordings", sentences]]) == 2
    assert "is paired with every recording" in capsys.readouterr().err
    given = ["enroll", text_run, "--keyword", "computer", "--negatives", sentences]
    assert main([str(one) for one in [*given, "--out", tmp_path / "found"]]) == 0
    assert parity(Run(tmp_path / "found"), n=64)["mismatches"] == 0


def write_pairs(sentences: Path, file: Path) -> None:
    """Each sentence with its own text and with another one's, as from another machine."""
    said = dict(row.split("\t") for row in (sentences / "transcripts.tsv").read_text().splitlines())
    said.pop("path")
    texts = list(said.values())
    lines = ["anchor,anchor_text,comparison,target,type"]
    for number, (path, text) in enumerate(said.items()):
        other = next(one for one in texts[number:] + texts if one != text)
        lines.append(f"a.wav,{text},/home/somebody/{path},1,diffspk_positive")
        lines.append(f"a.wav,{other},/home/somebody/{path},0,diffspk_easyneg")
    lines.append(f"a.wav,r2 d2,/home/somebody/{path},0,diffspk_easyneg")
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0.flac,go,diffspk_positive,1", None),
        ("0.flac,go,diffspk_positive,0", "line 2: type 'diffspk_positive' with target 0"),
        ("0.flac,go,other,1", "line 2: type 'other'"),
        ("1.flac,go,samespk_easyneg,0", "line 2: no recording 1.flac"),
        ("../0.flac,go,samespk_easyneg,0", None),
    ],
)
def test_lists_of_pairs(tmp_path, line, told):
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech/0.flac").write_bytes(b"")
    file = tmp_path / "pairs.csv"
    file.write_text(f"comparison,anchor_text,type,target\n{line}\n")
    if told is None:
        (pair,) = listed_pairs.read([file], tmp_path / "speech")
        assert (pair.file, pair.text) == (tmp_path / "speech/0.flac", "go")
    else:
        with pytest.raises(BadInput, match=told):
            listed_pairs.read([file], tmp_path / "speech")
    file.write_text("comparison,type\n")
    with pytest.raises(BadInput, match="no column anchor_text, target"):
        listed_pairs.read([file], tmp_path / "speech")


def test_rates_of_scores():
    positives, negatives = np.asarray([3.0, 4.0, 5.0, 0.0]), np.asarray([1.0, 2.0, -1.0, 3.5])
    eer, auc = verification.rates(positives, negatives)
    assert eer == pytest.approx(0.25)
    assert auc == pytest.approx(12 / 16)
    assert verification.rates(positives + 10, negatives) == (0.0, 1.0)


def test_texts_of_others():
    """Texts that a phrase holds are never its pair, however few there are."""
    rng = np.random.default_rng(0)
    texts = [(1, 2, 3), (1, 2, 3, 4), tuple(range(1, 20))]
    phrases = [verification.Spoken(0, 0, 9, classes) for classes in texts]
    for found in ([], phrases[:1] * 2, phrases):
        with pytest.raises(BadInput, match="no part of it: give more"):
            verification.drawn(found, [one.classes for one in found], rng)
    far = (*range(30, 36), *range(20, 29))
    pairs = verification.drawn(phrases[1:2] * 9, [*texts[:2], far], rng)
    assert all((numbers == 2).all() for numbers in pairs.values())
