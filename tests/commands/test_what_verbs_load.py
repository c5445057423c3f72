"""Which heavy packages commands import: who reads files, or is told of a mistake, does not wait."""

import json
import subprocess
import sys
from pathlib import Path

from command_cases import verbs

ROOT = Path(__file__).parents[2]
HEAVY = (
    *("jax", "flax", "optax", "orbax", "aqt", "tensorflow", "scipy", "matplotlib", "optuna"),
    *("onnxruntime", "onnx", "tflite_micro", "ai_edge_litert.interpreter"),
)
FIRST = """
import contextlib, io, json, sys
from aqtaudio.commands.command_line import main
for arguments in json.loads(sys.argv[1]):
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet[0], quiet[1]:
        status = main(arguments)
    print(status, *(name for name in json.loads(sys.argv[2]) if name in sys.modules))
"""


def loaded(*commands: list) -> list[tuple[int, set[str]]]:
    """Of each command, one after the other in one process: status, heavy packages till then."""
    told = [json.dumps([[str(part) for part in line] for line in commands]), json.dumps(HEAVY)]
    done = subprocess.run(
        [sys.executable, "-c", FIRST, *told], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return [(int(status), set(names)) for status, *names in lines]


MISTAKES = (
    "train nowhere.py --data gone --out OUT",
    "train CONFIG --data gone --out OUT",
    "train CONFIG --data gone --out OUT --steps",
    "adapt gone --data gone --words yes --out OUT",
    "adapt RUN --data gone --words yes --out OUT",
    "adapt RUN --data CORPUS --words yes --out OUT",
    "evaluate gone --data gone",
    "evaluate RUN --data gone",
    "evaluate RUN --data gone --runtime none",
    "evaluate RUN --data gone --limit 0",
    "evaluate gone --protocol voicebank-demand --pairs gone",
    "evaluate RUN --protocol dns-no-reverb --pairs gone",
    "parity gone",
    "parity RUN --data gone",
    "export gone --out OUT",
    "export RUN --data gone --out OUT",
    "check gone.tflite",
    "cost gone",
    "sweep gone.py --data gone",
    "sweep CONFIG --data gone",
    "choose gone",
    "report gone",
    "listen gone -",
    "listen gone in.wav",
    "detect gone --data gone",
    "detect RUN --data gone",
    "enhance gone.wav OUT.wav gone",
    "extend gone.wav OUT.wav gone",
    "embed gone gone.wav --out OUT.npz",
    "robustness gone --data gone",
    "enroll gone --keyword hello --negatives gone --out OUT",
    "enroll RUN --keyword 12 --negatives gone --out OUT",
    "enroll RUN --keyword 12 --out OUT",
    "enroll RUN --keyword hello --false-alarms-per-hour -1 --out OUT",
    "enroll RUN --out OUT",
    "join gone --out OUT",
    "probe gone --probe x --data gone --out OUT",
    "wake hello --negatives gone --out OUT",
    "wake hello --out OUT",
    "wake hello --rate 0 --out OUT",
    "wake 12 --negatives CORPUS --out OUT",
    "frontend compare gone micro-c --data gone",
    "frontend recalibrate gone --to micro-c --data gone --out OUT",
    "frontend recalibrate RUN --to micro-c --data CORPUS --out OUT",
    "data check gone",
    "data import esc gone --out OUT",
    "firmware test gone",
    "reduce CONFIG --data gone --out OUT",
    "negatives gone --negatives gone",
    "verification gone --data gone",
    "baselines gone --data gone",
    "data synth --say hello --clips-per-speaker 1 --out OUT",
    "neighbours hello --dictionary gone",
    "firmware boards gone --tflm gone",
    "renew gone",
    "quickstart --out CONFIG",
)


def test_each_verb_has_a_line():
    told = [tuple(line.split()) for line in MISTAKES]
    assert {
        verb for verb in verbs() if not any(line[: len(verb)] == verb for line in told)
    } == set()


def test_mistakes_are_told_before_anything_heavy(tmp_path: Path):
    config = ROOT / "configs/kws_ds_cnn.py"
    (tmp_path / "MANIFEST.tsv").touch()
    names = {"RUN": tmp_path, "CORPUS": tmp_path, "CONFIG": config}
    names |= {"OUT": tmp_path / "out", "OUT.npz": "o.npz"}
    commands = [[str(names.get(word, word)) for word in line.split()] for line in MISTAKES]
    for line, (status, packages) in zip(MISTAKES, loaded(*commands), strict=True):
        assert status == 2 and not packages, line


def test_verbs_that_read_files_wait_for_little(tiny_artifact, tone_corpus):
    reading = ["choose", ROOT / "results/kws_ds_cnn"], ["check", tiny_artifact / "model.tflite"]
    assert loaded(*reading) == [(0, set())] * 2
    computing = (
        ["cost", tiny_artifact],
        ["parity", tiny_artifact, "--n", "1"],
        ["evaluate", tiny_artifact, "--data", tone_corpus, "--limit", "1"],
    )
    assert loaded(*computing) == [(0, {"jax", "flax"})] * 3
