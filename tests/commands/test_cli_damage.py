"""The command line on damaged runs and artifacts: one line that says what is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_cases import contents
from corpus import CLIPS, write_corpus

from aqtaudio.errors import BadInput
from aqtaudio.runs.run import Run
from aqtaudio.training.phases import phase_directory

pytestmark = pytest.mark.optimized(False)


@pytest.fixture
def damaged(tiny_artifact, tmp_path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(tiny_artifact, tmp_path / "damaged"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [cut, Path.unlink, lambda file: file.write_text("no program")])
def test_damaged_program(spoil, damaged, tone_corpus, refused):
    spoil(damaged / "program.npz")
    for verb in (("parity",), ("cost",), ("evaluate", "--data", tone_corpus)):
        assert "program.npz" in refused(verb[0], damaged, *verb[1:])
    out = damaged.parent / "out"
    assert "program.npz" in refused("export", damaged, "--out", out)
    assert not out.exists()


def test_program_with_any_byte_changed(damaged):
    """Refused, or a byte that does not matter."""

    file = damaged / "program.npz"
    whole = file.read_bytes()
    program = Run(damaged).program
    rng = np.random.default_rng(0)
    refusals = 0
    for place in rng.integers(0, len(whole), 150):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        file.write_bytes(changed)
        try:
            found = Run(damaged).program
        except BadInput:
            refusals += 1
            continue
        assert found.to_json() == program.to_json(), place
        for ours, theirs in zip(found.operations, program.operations, strict=True):
            for name, array in ours.constants.items():
                np.testing.assert_array_equal(array, theirs.constants[name], str(place))
    assert refusals > 75


@pytest.mark.own_children
@pytest.mark.parametrize("spoil", [cut, Path.unlink, lambda file: file.write_text("no model")])
def test_damaged_model(spoil, damaged, tone_corpus, refused):
    spoil(damaged / "model.tflite")
    refused("parity", damaged, "--n", "5")
    refused("evaluate", damaged, "--data", tone_corpus, "--runtime", "micro")
    refused("evaluate", damaged, "--data", tone_corpus, "--runtime", "litert")
    refused("check", damaged)
    refused("cost", damaged)
    out = damaged.parent / "out"
    refused("export", damaged, "--out", out)
    assert not out.exists()


@pytest.mark.own_children
@pytest.mark.parametrize("seed", range(3))
def test_model_with_bytes_changed(seed, damaged, cli):
    """Whatever the file has become, a verdict or one line; never a crash of ours."""
    file = damaged / "model.tflite"
    changed = bytearray(file.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(8, len(changed), 20):
        changed[place] = rng.integers(256)
    file.write_bytes(changed)
    for verb in (("check", damaged), ("parity", damaged, "--n", "5")):
        status, out, err = cli(*verb)
        assert status in (1, 2) and err.count("\n") == (status == 2), err


@pytest.mark.parametrize(
    "spoil", [cut, lambda file: file.write_bytes(b"\xff\xfe"), lambda file: file.write_text("[]")]
)
def test_damaged_settings(spoil, damaged, tone_corpus, refused):
    spoil(damaged / "config.json")
    for verb in (("parity",), ("cost",), ("evaluate", "--data", tone_corpus)):
        assert "config.json" in refused(verb[0], damaged, *verb[1:])


def test_settings_of_another_type(damaged, refused):
    text = (damaged / "config.json").read_text()
    (damaged / "config.json").write_text(text.replace('"width": 8', '"width": "wide"'))
    assert "'wide'" in refused("cost", damaged)


BAD_LISTS = {
    "bytes": b"\xff\xfe\x00",
    "no header": b"words/val/low/0.flac\tlow\t0\n",
    "no clips": b"path\tlabel\tstart_sample\n",
    "two fields": b"path\tlabel\tstart_sample\nwords/val/low/0.flac\tlow\n",
    "no number": b"path\tlabel\tstart_sample\nwords/val/low/0.flac\tlow\tfirst\n",
    "no class": b"path\tlabel\tstart_sample\nwords/val/low/0.flac\tmiddle\t0\n",
    "behind the end": b"path\tlabel\tstart_sample\nwords/val/low/0.flac\tlow\t4000\n",
}


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_damaged_evaluation_list(kind, damaged, tone_corpus, refused):
    (damaged / "evaluation.tsv").write_bytes(BAD_LISTS[kind])
    refused("evaluate", damaged, "--data", tone_corpus, "--list", "run")


def test_damaged_checkpoint_in_a_process_of_its_own(tiny_run, tone_corpus, tmp_path):
    """Nothing but the line: no traceback, no log of a library."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    for file in phase_directory(run, "quantized").rglob("d/*"):
        cut(file)
    before = contents(run)
    done = subprocess.run(
        [sys.executable, "-m", "aqtaudio", "evaluate", run, "--data", tone_corpus]
        + ["--runtime", "quantized"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.count("\n") == 1 and "quantized/10: a damaged" in done.stderr
    assert contents(run) == before


def test_run_of_other_recordings(tiny_run, tmp_path, cli):
    """The run's own list is of clips that this folder does not have: it gives its own."""
    folder = write_corpus(tmp_path / "other", ("val",))
    os.rename(folder / "words", folder / "spoken")
    text = (folder / "MANIFEST.tsv").read_text()
    (folder / "MANIFEST.tsv").write_text(text.replace("words/", "spoken/"))
    status, out, err = cli("evaluate", tiny_run, "--data", folder, "--json")
    value = json.loads(out)
    assert "36 gone, 36 new" in err
    assert status == 0 and value["n"] == CLIPS
