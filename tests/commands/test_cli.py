"""The command line: what verbs print, JSON keys, exit statuses, and one line for bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_cases import contents
from corpus import CLIPS, CLIPS_PER_WORD, EXPERIMENT, RATE_HZ

from aqtaudio.data import manifest
from aqtaudio.experiment import save_json
from aqtaudio.runs.run import Run

pytestmark = pytest.mark.optimized(False)

CLASSES = {"low", "high", "unknown", "silence"}


# --- evaluate


@pytest.fixture(params=["tiny_run", "tiny_artifact"])
def run(request) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("runtime", ["integer", "litert", "micro"])
def test_evaluate(runtime, run, tone_corpus, answer):
    status, value = answer("evaluate", run, "--data", tone_corpus, "--runtime", runtime)
    assert status == 0
    assert value["runtime"] == runtime and value["split"] == "val" and value["n"] == CLIPS
    metrics = value["metrics"]
    assert set(metrics["per_class"]) == CLASSES
    assert all(0 <= share <= 1 for share in (metrics["accuracy"], *metrics["per_class"].values()))
    counts = np.asarray(metrics["confusion"]["counts"])
    assert counts.sum() == CLIPS and np.trace(counts) == round(metrics["accuracy"] * CLIPS)


def test_what_was_trained_is_what_is_served(tiny_run, tone_corpus, answer):
    metrics = {
        runtime: answer("evaluate", tiny_run, "--data", tone_corpus, "--runtime", runtime)[1]
        for runtime in ("float", "quantized", "integer", "micro")
    }
    assert metrics["float"]["metrics"]["accuracy"] > 0.6
    quantized = metrics["quantized"]["metrics"]
    assert quantized["accuracy"] > 0.6
    assert metrics["integer"]["metrics"] == quantized == metrics["micro"]["metrics"]
    row = json.loads((tiny_run / "row.json").read_text())
    for runtime in ("float", "quantized", "integer"):
        assert row["metrics"][runtime]["accuracy"] == metrics[runtime]["metrics"]["accuracy"]


def test_artifact_and_run_have_the_same_figures(tiny_run, tiny_artifact, tone_corpus, answer):
    values = [answer("evaluate", path, "--data", tone_corpus) for path in (tiny_run, tiny_artifact)]
    assert values[0] == values[1]


def test_evaluate_other_splits_and_fewer_clips(tiny_run, tone_corpus, answer):
    _, value = answer("evaluate", tiny_run, "--data", tone_corpus, "--split", "train")
    assert value["split"] == "train" and value["n"] > 3 * CLIPS_PER_WORD
    _, value = answer("evaluate", tiny_run, "--data", tone_corpus, "--limit", 5)
    assert value["n"] == 5


def test_evaluate_for_people(tiny_run, tone_corpus, cli):
    status, out, err = cli("evaluate", tiny_run, "--data", tone_corpus)
    assert status == 0 and err == ""
    assert f"integer on {CLIPS} clips of val" in out and "silence" in out


@pytest.mark.parametrize("runtime", ["float", "quantized"])
def test_artifact_has_no_variables(runtime, tiny_artifact, tone_corpus, refused):
    message = refused("evaluate", tiny_artifact, "--data", tone_corpus, "--runtime", runtime)
    assert "artifact" in message and "integer, litert, micro" in message


def test_float_run_has_no_integers(tiny_float, tone_corpus, answer, refused):
    status, value = answer("evaluate", tiny_float, "--data", tone_corpus, "--runtime", "float")
    assert status == 0 and value["metrics"]["accuracy"] > 0.6
    for runtime in ("quantized", "integer", "micro"):
        message = refused("evaluate", tiny_float, "--data", tone_corpus, "--runtime", runtime)
        assert "float run" in message
    assert "float run" in refused("parity", tiny_float)


def test_split_without_clips(tiny_run, tone_corpus, refused):
    message = refused("evaluate", tiny_run, "--data", tone_corpus, "--split", "test")
    assert "'low' has no clips in split 'test'" in message


# --- several folders


@pytest.fixture(scope="module")
def halves(tone_corpus, tmp_path_factory) -> tuple[Path, Path]:
    """Folders of the words and of the noise: together the corpus."""
    rows = manifest.read(tone_corpus)
    found = []
    for kind in ("words", "noise"):
        folder = tmp_path_factory.mktemp(kind)
        shutil.copytree(tone_corpus / kind, folder / kind)
        manifest.write(folder, [row for row in rows if row.path.startswith(f"{kind}/")])
        found.append(folder)
    return found[0], found[1]


SPELLINGS = {
    "again": lambda run, a, b: (run, "--data", a, "--data", b),
    "one after the other": lambda run, a, b: (run, "--data", a, b),
    "with equals": lambda run, a, b: (run, f"--data={a}", f"--data={b}"),
    "equals, one after the other": lambda run, a, b: (run, f"--data={a}", b),
    "in another order": lambda run, a, b: (run, "--data", b, a),
    "the run comes last": lambda run, a, b: ("--data", a, b, run),
    "the run comes last, again": lambda run, a, b: ("--data", a, "--data", b, run),
    "the run comes last, equals": lambda run, a, b: (f"--data={a}", b, run),
    "the run comes between": lambda run, a, b: ("--data", a, run, "--data", b),
    "another option between": lambda run, a, b: ("--data", a, "--split", "val", "--data", b, run),
}


def test_several_folders_are_one_corpus(tiny_run, tone_corpus, halves, answer):
    expected = answer("evaluate", tiny_run, "--data", tone_corpus)
    for spelling, arguments in SPELLINGS.items():
        assert answer("evaluate", *arguments(tiny_run, *halves)) == expected, spelling


@pytest.mark.parametrize("data", [lambda folder: ("--data", folder), lambda f: (f"--data={f}",)])
def test_a_run_after_the_recordings_is_a_run(data, tiny_run, tone_corpus, answer, refused):
    assert answer("evaluate", *data(tone_corpus), tiny_run)[0] == 0
    assert "nowhere: no such run" in refused("evaluate", *data(tone_corpus), "nowhere")
    assert "RUN" in refused("evaluate", *data(tone_corpus), tone_corpus)


def test_a_run_exists_only_once(tiny_run, tone_corpus, refused):
    """What follows and is no manifest folder is not taken for recordings."""
    assert "--data" in refused("robustness", tone_corpus, tiny_run)
    for stray in (("evaluate", tone_corpus), ("evaluate", tiny_run, "--data", tone_corpus)):
        message = refused(*stray, tiny_run)
        assert "unknown argument" in message and str(tiny_run) in message


# --- parity, check, cost


def test_parity_on_recordings_and_random_inputs(run, tone_corpus, answer):
    status, value = answer("parity", run, "--data", tone_corpus, "--n", 50)
    assert status == 0
    expected = {"runtime": "micro", "n": 100, "outputs": 400, "mismatches": 0, "max_abs_diff": 0}
    assert value.items() >= expected.items() and value["list"] == "folder"


def test_parity_on_random_inputs(run, answer):
    status, value = answer("parity", run, "--n", 7)
    assert status == 0 and value["n"] == 7 and value["mismatches"] == 0


def test_parity_with_litert_counts(tiny_run, answer):
    """It rounds otherwise, so it may differ: the answer is no, which is no error."""
    status, value = answer("parity", tiny_run, "--n", 50, "--runtime", "litert")
    assert status == (1 if value["mismatches"] else 0)
    assert value["runtime"] == "litert" and value["max_abs_diff"] <= 2


def test_parity_of_another_model_is_a_no(tiny_run, tmp_path, answer):
    """Bias codes other than the program's: the file loads, and computes something else."""
    shutil.copytree(tiny_run, tmp_path / "run")
    model = bytearray((tiny_run / "model.tflite").read_bytes())
    bias = Run(tiny_run).program.operations[-1].constants["bias"]
    place = bytes(model).index(bias.tobytes())
    model[place : place + bias.nbytes] = (bias + 1000).tobytes()
    (tmp_path / "run" / "model.tflite").write_bytes(model)
    status, value = answer("parity", tmp_path / "run", "--n", 20)
    assert status == 1 and value["mismatches"] > 0 and value["max_abs_diff"] > 0


CHECK_KEYS = {
    "micro_compatible",
    "reasons",
    "ops",
    "float_ops",
    "unsupported",
    "arena_bytes",
    "arena_used_bytes",
    "kernels",
    "targets",
    "file_bytes",
    "weight_bytes",
}


def test_check_of_run_and_file(run, answer):
    status, value = answer("check", run)
    assert status == 0 and set(value) == CHECK_KEYS
    assert value["micro_compatible"] is True and value["reasons"] == []
    assert value["float_ops"] == [] and value["unsupported"] == []
    assert value["file_bytes"] == (run / "model.tflite").stat().st_size
    assert 0 < value["weight_bytes"] < value["file_bytes"] and value["arena_bytes"] > 0
    assert value["ops"]["FULLY_CONNECTED"] == 1
    assert answer("check", run / "model.tflite") == (status, value)


def test_check_of_a_float_model(tiny_float, answer, cli):
    status, value = answer("check", tiny_float)
    assert status == 1 and value["micro_compatible"] is False
    assert value["float_ops"] and any("FLOAT32" in reason for reason in value["reasons"])
    _, out, _ = cli("check", tiny_float)  # no kernels are called right of a file that is refused
    assert "not Micro-compatible" in out and "reference kernels: not fit, as said below" in out
    status, value = answer("check", tiny_float, "--allow-float")
    assert status == 0 and value["micro_compatible"] is True and value["reasons"] == []


def test_check_of_a_published_model(shared_folder, answer):
    file = shared_folder / "golden" / "mlperf_tiny" / "kws_ref_model.tflite"
    status, value = answer("check", file)
    assert status == 0 and value["micro_compatible"] is True


COST_KEYS = {
    "params",
    "macs",
    "bitops",
    "weight_bytes",
    "file_bytes",
    "arena_bytes",
    "state_bytes",
}


def test_cost(run, answer, cli):
    status, value = answer("cost", run)
    assert status == 0 and set(value) >= COST_KEYS
    assert all(isinstance(value[key], int) for key in COST_KEYS)
    assert value["bitops"] == 64 * value["macs"] > 0
    assert value["file_bytes"] == (run / "model.tflite").stat().st_size
    status, out, err = cli("cost", run)
    assert status == 0 and "pointwise_1" in out and f"{value['macs']:,}" in out


def test_cost_of_a_float_run(tiny_run, tiny_float, answer):
    status, value = answer("cost", tiny_float)
    _, quantized = answer("cost", tiny_run)
    assert status == 0 and set(value) >= COST_KEYS
    assert value["params"] == quantized["params"] and value["macs"] == quantized["macs"]
    assert value["bitops"] == 1024 * value["macs"] and value["weight_bytes"] == 4 * value["params"]


# --- export


def test_export(tiny_run, tone_corpus, tmp_path, cli):
    status, out, err = cli("export", tiny_run, "--out", tmp_path / "a", "--data", tone_corpus)
    assert status == 0 and out == f"{tmp_path / 'a'}\n" and err == ""
    names = set(contents(tmp_path / "a"))
    assert {"config.json", "program.npz", "program.json", "model.tflite", "evaluation.tsv"} <= names
    assert {"row.json", "firmware/model_data.cc", "firmware/model_golden.h"} <= names
    assert not any(name.startswith("checkpoint") for name in names)


def test_artifact_of_an_artifact_is_the_same(tiny_artifact, tone_corpus, tmp_path, cli):
    status, _, _ = cli("export", tiny_artifact, "--out", tmp_path / "a", "--data", tone_corpus)
    assert status == 0 and contents(tmp_path / "a") == contents(tiny_artifact)


def test_export_into_a_folder_that_is_not_empty(tiny_run, tmp_path, refused):
    (tmp_path / "mine.txt").write_text("mine")
    assert "is there already" in refused("export", tiny_run, "--out", tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_export_with_no_recordings(tiny_run, tmp_path, refused):
    message = refused("export", tiny_run, "--out", tmp_path / "a", "--data", tmp_path / "nowhere")
    assert "nowhere" in message and list(tmp_path.iterdir()) == []


# --- bad input: the command line itself


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["tarin"], "tarin"),
        (["data"], "COMMAND"),
        (["data", "sniff"], "sniff"),
        (["evaluate"], "RUN"),
        (["evaluate", "nowhere"], "--data"),
        (["evaluate", "nowhere", "--data", "d"], "nowhere: no such run"),
        (["evaluate", "nowhere", "--data", "d", "--runtime", "tpu"], "tpu"),
        (["evaluate", "nowhere", "--data", "d", "--split", "dev"], "dev"),
        (["evaluate", "nowhere", "--data", "d", "--limit", "0"], "at least 1"),
        (["parity", "nowhere"], "nowhere: no such run"),
        (["parity", "nowhere", "--n", "0"], "0 is not at least 1"),
        (["parity", "nowhere", "--n", "many"], "many"),
        (["parity", "nowhere", "--fast"], "--fast"),
        (["check", "nowhere.tflite"], "nowhere.tflite"),
        (["cost", "nowhere"], "nowhere: no such run"),
        (["export", "nowhere", "--out", "o"], "nowhere: no such run"),
        (["sweep", "nowhere.py", "--data", "d"], "nowhere.py"),
        (["report", "nowhere"], "nowhere"),
        (["report", "nowhere", "--out", "o"], "--against"),
        (["report", "nowhere", "--against", "elsewhere"], "nowhere"),
        (["train", "nowhere.py", "--data", "d", "--out", "o"], "nowhere.py"),
        (["train"], "config"),
        (["data", "check", "nowhere"], "nowhere"),
        (["data", "import", "speech-commands", "nowhere", "--out", "o"], "nowhere"),
    ],
)
def test_command_line_that_makes_no_sense(arguments, named, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named in refused(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_a_folder_with_settings(tmp_path, refused):
    (tmp_path / "file").write_text("")
    for verb in ("parity", "cost"):
        assert "not a run" in refused(verb, tmp_path)
        assert "no such run" in refused(verb, tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"no model\n" * 50, b"\0\0\0\0TFL3" + bytes(90)])
def test_check_of_a_file_that_is_no_model(content, tmp_path, refused):
    (tmp_path / "a.tflite").write_bytes(content)
    assert "TFLite" in refused("check", tmp_path / "a.tflite")


# --- bad input: training


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("config") / "config.json"
    save_json(EXPERIMENT, file)
    return file


@pytest.fixture
def corpus(tone_corpus, tmp_path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(tone_corpus, tmp_path / "corpus"))


def replace_in_manifest(folder: Path, old: str, new: str) -> None:
    file = folder / "MANIFEST.tsv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def write_nan(folder: Path) -> None:
    samples = np.full(RATE_HZ // 2, np.nan, np.float32)
    soundfile.write(folder / "words" / "train" / "low" / "nan.wav", samples, RATE_HZ, "FLOAT")
    replace_in_manifest(folder, "words/train/low/3.flac", "words/train/low/nan.wav")


def write_silence(folder: Path) -> None:
    soundfile.write(folder / "noise" / "train" / "hiss.flac", np.zeros(4 * RATE_HZ), RATE_HZ)


BAD_DATA = {
    "no folder": (shutil.rmtree, "no data folder"),
    "no manifest": (lambda f: (f / "MANIFEST.tsv").unlink(), "no MANIFEST.tsv"),
    "wrong column": (lambda f: replace_in_manifest(f, "speaker", "voice"), "'voice'"),
    "wrong split": (lambda f: replace_in_manifest(f, "\tval\t", "\tvalid\t"), "'valid'"),
    "label without clips": (
        lambda f: replace_in_manifest(f, "\thigh\t", "\thigher\t"),
        "label 'high' has no clips in split 'train'",
    ),
    "no noise": (
        lambda f: replace_in_manifest(f, "noise:hiss", "other"),
        "label 'silence' has no clips",
    ),
    "digital silence": (write_silence, "has no noise"),
    "missing file": (lambda f: (f / "words/val/low/0.flac").unlink(), "words/val/low/0.flac"),
    "empty file": (lambda f: (f / "words/val/low/0.flac").write_bytes(b""), "words/val/low/0"),
    "text": (lambda f: (f / "words/val/low/0.flac").write_text("la la"), "words/val/low/0.flac"),
    "NaN": (write_nan, "nan.wav holds samples that are NaN"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_training_on_bad_data(kind, corpus, config, refused, tmp_path):
    spoil, named = BAD_DATA[kind]
    spoil(corpus)
    out = tmp_path / "deep" / "run"
    assert named in refused("train", config, "--data", corpus, "--out", out)
    assert not (tmp_path / "deep").exists()


BAD_SETTINGS = [
    (["--model.widht", "3"], "width, blocks"),
    (["--model.width"], "--model.width needs a value"),
    (["--model.width", "wide"], "'wide'"),
    (["--model.width=0"], "cannot be built"),
    (["--task.keywords", "low,absent"], "label 'absent' has no clips"),
    (["--task.clip_ms", "5"], "clip_ms"),
    (["--recipe.mode", "int3"], "'int3'"),
    (["--recipe.rules.0.pattern", "conv"], "no rule matches layer"),
    (["--recipe.rules.0.svd_penalty", "0.1"], "1x1"),
    (["--optimizer.learning_rate", "nan"], "learning_rate"),
    (["--init_from", "nowhere"], "nowhere: not a run"),
    (["--seed", "-1"], "seed is -1"),
    (["--seed", "1", "more"], "more"),
    (["--evaluate_every", "0"], "evaluate_every is 0"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD_SETTINGS)
def test_training_with_bad_settings(arguments, named, tone_corpus, config, refused, tmp_path):
    out = tmp_path / "run"
    assert named in refused("train", config, "--data", tone_corpus, "--out", out, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("run.py", "EXPERIMENT = (", "SyntaxError"),
        ("run.py", "EXPERIMENT = 3", "EXPERIMENT"),
        ("run.json", '{"type": ', "not readable JSON"),
    ],
)
def test_config_files_that_do_not_work(name, text, named, tone_corpus, refused, tmp_path):
    (tmp_path / name).write_text(text)
    out = tmp_path / "run"
    assert named in refused("train", tmp_path / name, "--data", tone_corpus, "--out", out)
    assert not out.exists()


def test_training_never_touches_what_is_not_its_run(
    tiny_run, tone_corpus, config, refused, tmp_path
):
    train = ("train", config, "--data", tone_corpus, "--out")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    assert "not empty" in refused(*train, tmp_path / "foreign")
    assert contents(tmp_path / "foreign") == {"thesis.txt": b"mine"}

    file = tmp_path / "file"
    file.write_text("mine")
    assert str(file) in refused(*train, file)
    assert str(file) in refused(*train, file / "run")
    assert file.read_text() == "mine"

    before = contents(tiny_run)
    assert "another experiment" in refused(*train, tiny_run, "--seed", "9")
    assert contents(tiny_run) == before


# --- data check


def test_data_check(corpus, answer, cli):
    status, value = answer("data", "check", corpus)
    assert status == 0 and value["problems"] == [] and value["errors"] == value["warnings"] == 0
    assert {"label": "low", "split": "val", "clips": 12, "minutes": 0.1, "speakers": 0} in (
        value["labels"]
    )
    assert value["training_bytes"] == round(2 * 16000 * 2 * (36 * 0.5 + 4))
    write_nan(corpus)
    status, value = answer("data", "check", corpus)
    assert status == 1 and value["errors"] == 1
    assert value["problems"][0]["path"] == "words/train/low/nan.wav"
    status, out, _ = cli("data", "check", corpus)
    assert status == 1 and "nan.wav" in out and out.endswith("1 errors, 0 warnings\n")
    lines = [line.split() for line in out.splitlines()]
    assert ["low", "val", "12", "0.10", "-"] in lines
