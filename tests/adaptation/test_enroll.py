"""Text becomes a detector; more keywords change none that is there; bad text is refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from corpus import EXPERIMENT
from initial import calibrated, initial
from small_dictionary import TEXT

from aqtaudio.adaptation import enroll_refining, negative_codes
from aqtaudio.adaptation.enroll import enroll
from aqtaudio.adaptation.enroll_examples import Sayings
from aqtaudio.adaptation.text_encoder import text_encoder
from aqtaudio.commands.command_line import main
from aqtaudio.compression.fold import fold
from aqtaudio.data import cache_folder, dictionary, manifest
from aqtaudio.detection import stored
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, save_json
from aqtaudio.files import write_arrays
from aqtaudio.models.phone_encoder import PhoneEncoder
from aqtaudio.program import program as programs
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe
from aqtaudio.runs.parity import parity
from aqtaudio.runs.run import COMPANIONS, Run
from aqtaudio.tasks.keywords.spotting import Spotting
from aqtaudio.tasks.text_keywords.filters import Shape
from aqtaudio.tasks.text_keywords.task import FILTERS, TextKeywords
from aqtaudio.vocabulary.recording import record

pytestmark = pytest.mark.optimized(False)
FEATURES = 10
ENCODER = Experiment(
    model=PhoneEncoder(width=8, kernels=(3,)),
    task=TextKeywords(clip_ms=2000, mixing=None, channels=44, filters=Shape(2, 2, 2, 3)),
    frontend=EXPERIMENT.frontend,
    stream_block_frames=1,
    stream_context_clips=0,
)


def write_encoder(folder: Path) -> None:
    """A text-keyword run with random weights."""
    model, rng = ENCODER.built_model(), np.random.default_rng(0)
    features = rng.normal(size=(2, 50, FEATURES)).astype(np.float32) * 3
    variables = initial(model, features)
    params = fold(variables["params"], variables["batch_stats"])
    ranges = calibrated(model, params, [features], Recipe())
    found = {"params": params, "ranges": ranges}
    folder.mkdir()
    program = record(model, found, (1, FEATURES), Recipe(), stream=True)
    programs.save(program, folder / "program.npz")
    save_json(ENCODER, folder / "config.json")
    companion = ENCODER.task.companions(ENCODER.setup)[FILTERS]
    made = jax.jit(companion.module.init)(jax.random.key(0), *companion.inputs)
    write_arrays(folder / COMPANIONS, ENCODER.task.kept({FILTERS: made["params"]}))


@pytest.fixture(scope="module")
def encoder(once) -> Path:
    return once("text_encoder", write_encoder)


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("dictionary") / "words.dict"
    file.write_text(TEXT)
    return file


@pytest.fixture(autouse=True)
def kept(once, monkeypatch) -> None:
    monkeypatch.setenv(cache_folder.VARIABLE, str(once("negatives", Path.mkdir)))


@pytest.fixture(scope="module")
def enrolled(once, encoder, words, tone_corpus) -> Path:
    """An artifact of one keyword."""

    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(cache_folder.VARIABLE, str(once("negatives", Path.mkdir)))
            enroll(
                Run(encoder), ["computer glass"], folder, negatives=[tone_corpus],
                known=dictionary.read(words), false_alarms_per_hour=30.0,
            )  # fmt: skip

    return once("enrolled", write)


def test_text_becomes_a_keyword_run(enrolled):
    run = Run(enrolled)
    settings = stored.read(enrolled) or {}
    assert set(settings) == {"computer glass"} and 0 < settings["computer glass"].threshold < 1
    assert Spotting.of(run.experiment.task).keywords == ("computer glass",)
    assert parity(run, n=64)["mismatches"] == 0
    page = (enrolled / "enroll.md").read_text()
    assert "K AH M P Y UW T ER . G L AE S" in page and "listen" in page


@pytest.mark.slow
def test_commands_take_it(enrolled, cli, tone_corpus, tmp_path):
    clip = next((tone_corpus / "words/val/low").iterdir())
    status, _, err = cli("listen", enrolled, clip)
    assert status == 0, err
    status, _, err = cli("export", enrolled, "--out", tmp_path / "bundle")
    assert status == 0, err
    assert "computer glass" in (tmp_path / "bundle/firmware/model_labels.h").read_text()


def test_more_keywords_change_no_other(enrolled, words, tone_corpus, tmp_path):
    add = ("--add", "hey jarvis", "--negatives", tone_corpus, "--dictionary", words)
    how = ("--false-alarms-per-hour", "30")
    given = ["enroll", enrolled, *add, *how, "--out", tmp_path / "two"]
    assert main([str(one) for one in given]) == 0
    two = Run(tmp_path / "two")
    codes = np.random.default_rng(0).integers(-128, 128, (60, 1, 1, FEATURES)).astype(np.int8)
    one, both = Run(enrolled).executor(codes), two.executor(codes)
    assert both.shape[-1] == 2 and np.array_equal(one[:, 0], both[:, 0])
    before, after = stored.read(enrolled) or {}, stored.read(two.path) or {}
    assert after["computer glass"] == before["computer glass"]
    given = ["enroll", two.path, "--remove", "hey jarvis", "--out", tmp_path / "one"]
    assert main([str(one) for one in given]) == 0
    for name in ("program.npz", "model.tflite"):
        assert (tmp_path / "one" / name).read_bytes() == (enrolled / name).read_bytes()
    assert json.loads((tmp_path / "one/detector.json").read_text())["words"].keys() == before.keys()


@pytest.fixture
def people(tone_corpus, tmp_path) -> Path:
    """Recordings of tones that are said to be "hey jarvis"."""
    folder = tmp_path / "people"
    kept = [row for row in manifest.read(tone_corpus) if row.label == "low"]
    for row in kept:
        (folder / row.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(row.file, folder / row.path)
    manifest.write(folder, [dataclasses.replace(row, label="hey jarvis") for row in kept])
    return folder


def test_a_filter_learns_from_people(enrolled, people, words, tone_corpus, tmp_path, monkeypatch):
    """The filters that were there stay; it is exact, and its page tells what training brought."""
    monkeypatch.setattr(enroll_refining, "STEPS", 12)
    run, value = enroll(
        Run(enrolled), ["hey jarvis"], tmp_path / "two", negatives=[tone_corpus],
        known=dictionary.read(words), false_alarms_per_hour=30.0, sayings=Sayings(None, [people]),
    )  # fmt: skip
    before, after = (value["keywords"][1]["refined"][when] for when in ("before", "after"))
    assert 0 <= before["found"] <= after["found"] <= 1 and value["keywords"][0]["refined"] is None
    assert parity(run, n=64)["mismatches"] == 0
    codes = np.random.default_rng(0).integers(-128, 128, (60, 1, 1, FEATURES)).astype(np.int8)
    assert np.array_equal(Run(enrolled).executor(codes)[:, 0], run.executor(codes)[:, 0])
    assert "recordings" in (run.path / "enroll.md").read_text()
    again, _ = enroll(run, [], tmp_path / "again", remove=["computer glass"])
    kept = json.loads((again.path / "enrolled.json").read_text())["keywords"]
    assert kept[0]["refined"] == value["keywords"][1]["refined"]


def test_one_recording_is_too_few(enrolled, people, words, tone_corpus, tmp_path):
    manifest.write(people, manifest.read(people)[:1])
    with pytest.raises(BadInput, match="'hey jarvis': 1 clips are too few"):
        enroll(
            Run(enrolled), ["hey jarvis"], tmp_path / "x", negatives=[tone_corpus],
            known=dictionary.read(words), sayings=Sayings(None, [people]),
        )  # fmt: skip
    assert not (tmp_path / "x").exists()


def test_nobody_says_it(encoder, words, tone_corpus, tmp_path, refused):
    how = ("--negatives", tone_corpus, "--recordings", tone_corpus, "--dictionary", words)
    line = refused("enroll", encoder, "--keyword", "computer", *how, "--out", tmp_path / "x")
    assert "nobody says 'computer'" in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no letter"),
        ("route 66", "digits"),
        ("hello 🙂", "🙂"),
        (" ".join(["go"] * 40), "40 words; allowed: 1 to 10"),
        ("no", "2 phones; allowed: 3 to 40"),
        ("/HH QQ/", "QQ"),
    ],
)
def test_text_that_is_refused(text, told, encoder, words, tone_corpus, tmp_path, refused):
    with_sound = ("--negatives", tone_corpus, "--dictionary", words)
    line = refused("enroll", encoder, "--keyword", text, *with_sound, "--out", tmp_path / "x")
    assert told in line.splitlines()[-1]
    assert not (tmp_path / "x").exists()


def test_other_bad_input(encoder, enrolled, tiny_run, words, tmp_path, refused):
    out = ("--dictionary", words, "--out", tmp_path / "x")
    assert "--negatives DIR" in refused("enroll", encoder, "--keyword", "computer", *out)
    assert "textkeywords" in refused("enroll", tiny_run, "--keyword", "computer", *out)
    assert "no keywords yet" in refused("enroll", encoder, "--add", "computer", *out)
    assert "--add and --remove" in refused("enroll", enrolled, "--keyword", "computer", *out)
    assert "no keyword 'glass'" in refused("enroll", enrolled, "--remove", "glass", *out)
    assert "0 keywords; allowed" in refused("enroll", enrolled, "--remove", "computer glass", *out)
    twice = ("--add", "computer glass")
    assert "there twice" in refused("enroll", enrolled, *twice, *out)
    assert "no such run" in refused("enroll", tmp_path / "none", "--keyword", "computer", *out)


def test_negatives_whose_samples_changed_are_heard_anew(encoder, words, tmp_path, cli):
    """Of the same names and sizes; what is kept of them is of what was there."""
    folder, samples = tmp_path / "sound", np.random.default_rng(0).normal(size=32_000) / 10
    (folder / "speech").mkdir(parents=True)
    file = folder / "speech/a.wav"
    row = ("speech/a.wav", "speech", "-", "val", "mine", "CC0", "2.0", "16000")
    (folder / manifest.NAME).write_text("\n".join("\t".join(x) for x in (manifest.COLUMNS, row)))
    soundfile.write(file, samples.astype(np.float32), 16_000, subtype="FLOAT")
    kept = negative_codes.encoded(
        text_encoder(Run(encoder)), [folder], negative_codes.HOURS, lambda _: None
    )
    assert kept.hours > 0
    samples[5] = np.nan
    soundfile.write(file, samples.astype(np.float32), 16_000, subtype="FLOAT")
    how = ("--dictionary", words, "--negatives", folder, "--out", tmp_path / "out")

    def refused_at_last() -> str:
        status, printed, err = cli("enroll", encoder, "--keyword", "computer", *how)
        assert status == 2 and printed == "" and err.count("\n") == 2, err
        return err.splitlines()[-1]

    assert "NaN" in refused_at_last()
    soundfile.write(file, np.zeros(1), 16_000)
    assert "speech is shorter than" in refused_at_last() and not (tmp_path / "out").exists()


STUDY = Path(__file__).parents[2] / "results/text_keywords"
NAMED = json.loads((STUDY / "names.json").read_text())
"""Committed encoders: {name: folder}."""
SIZES = {"english": 344_000, "english-small": 250_000}
"""Of their files, bytes at most."""


@pytest.mark.parametrize("name", NAMED)
def test_a_committed_encoder_has_all_that_it_takes(name):
    """Its file is its program's, and it keeps filters' network and sound for thresholds."""
    folder = STUDY / NAMED[name]
    encoder = text_encoder(Run(folder))
    model = (folder / "model.tflite").read_bytes()
    assert to_tflite(encoder.program) == model and len(model) <= SIZES[name]
    (taps,) = encoder.filters([("HH", "EH", "L", "OW")])
    assert taps.shape == (encoder.task.filters.total, encoder.task.channels)
    sound = negative_codes.read(folder / negative_codes.NAME)
    assert sound.hours > 1 and {len(codes[0]) for codes in sound.codes} == {taps.shape[1]}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("count", [1, 3, 32])
def test_a_committed_encoder_takes_keywords_by_name(count, name, cli, words, tmp_path):
    """Exact with few keywords and with as many as there may be."""
    said = [f"/HH {a}/ /{b} ER/" for a in ("EH", "OW", "IY", "AA") for b in "LMNBDGKT"][:count]
    given = [part for text in said for part in ("--keyword", text)]
    status, _, err = cli("enroll", name, *given, "--dictionary", words, "--out", tmp_path / "x")
    assert status == 0, err
    assert parity(Run(tmp_path / "x"), n=300)["mismatches"] == 0


def test_settings_are_checked():
    with pytest.raises(BadInput, match="streams"):
        dataclasses.replace(ENCODER, stream_block_frames=0)
