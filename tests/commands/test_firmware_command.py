"""aqtaudio firmware test: a bundle is built and run; what is missing is said in one line.

Against headers in the place of TFLite Micro's. Where AQTAUDIO_TFLM names a tree: against it.
"""

import json
import shutil
from pathlib import Path

import pytest
import tflm_stubs
from board_kernels import TREE, needed

from aqtaudio.firmware import arena, boards, tree
from aqtaudio.runs.run import FILES, Run

pytestmark = pytest.mark.optimized(False)

needs_cmake = pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("c++") and shutil.which("make")),
    reason="no CMake or no C++ compiler",
)
KEYS = {
    *("board", "kernels", "loads", "outputs", "mismatches", "per_call", "unit", "failure"),
    *("arena_bytes", "arena_used_bytes", "arena_least_bytes"),
}


@needs_cmake
def test_a_run_passes_and_a_wrong_code_is_found(tiny_run, tmp_path, answer, cli):
    good, bad = tflm_stubs.tree(tmp_path / "good"), tflm_stubs.tree(tmp_path / "bad", right=False)
    status, value = answer("firmware", "test", tiny_run, "--tflm", good)
    assert status == 0 and set(value) == KEYS and value["mismatches"] == 0
    assert (value["board"], value["kernels"], value["unit"]) == ("host", "cmsis-nn", "ns")
    assert value["loads"] and value["arena_used_bytes"] == 100 < value["arena_bytes"]
    status, value = answer("firmware", "test", tiny_run, "--tflm", bad)
    assert status == 1 and value["mismatches"] == 1 and value["failure"] == "codes differ"
    status, out, _ = cli("firmware", "test", tiny_run, "--tflm", bad)
    assert status == 1 and f"1 of {value['outputs']} codes differ" in out.splitlines()[0]


@needs_cmake
def test_a_bundle_is_run_as_it_is_and_not_when_edited(tiny_run, tmp_path, cli, answer, refused):
    bundle, good = tmp_path / "bundle", tflm_stubs.tree(tmp_path / "tree")
    assert cli("export", tiny_run, "--out", bundle)[0] == 0
    assert answer("firmware", "test", bundle, "--tflm", good)[0] == 0
    golden = bundle / "firmware" / "model_golden.h"
    golden.write_text(golden.read_text().replace("{", "{ ", 1))
    line = refused("firmware", "test", bundle, "--tflm", good)
    assert "model_golden.h is not as it was exported" in line
    (bundle / "firmware" / "SHA256SUMS").unlink()
    assert "has no SHA256SUMS" in refused("firmware", "test", bundle, "--tflm", good)


@needs_cmake
def test_a_table_of_boards_goes_on_where_it_stopped(tiny_run, tmp_path, cli, refused, monkeypatch):
    """Rows are kept by what is in a file, whatever studies it is in; what is new is measured."""
    good, out = tflm_stubs.tree(tmp_path / "tree"), tmp_path / "boards.md"
    artifacts = tmp_path / "study/artifacts"
    assert cli("export", tiny_run, "--out", tmp_path / "bundle")[0] == 0
    for name in FILES:
        if (tiny_run / name).exists():
            artifacts.joinpath("a").mkdir(parents=True, exist_ok=True)
            shutil.copy(tiny_run / name, artifacts / "a" / name)
    command = "firmware", "boards", tmp_path / "study", "--tflm", good, "--out", out
    status, _, told = cli(*command)
    assert status == 0 and "a: self-test on host" in told
    rows = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert [(row["study"], row["run_id"], row["board"]) for row in rows] == [("study", "a", "host")]
    assert rows[0]["mismatches"] == 0 and "| study | a |" in out.read_text()
    assert arena.read(artifacts / "a/boards.json").least_arena_bytes == {"host": 64}
    shutil.copytree(artifacts, tmp_path / "other/artifacts")
    (tmp_path / "other/artifacts/a/boards.json").unlink()
    status, _, told = cli(*command[:3], tmp_path / "other", *command[3:])
    assert status == 0 and "self-test" not in told
    assert (tmp_path / "other/artifacts/a/boards.json").exists()
    assert out.read_text().count("| a |") == 2
    assert cli(*command)[0] == 0  # one study asked for: the other stays in the table
    assert out.read_text().count("| a |") == 2
    gone = rows[0] | {"run_id": "gone", "model_sha256": "0"}  # of an artifact that is deleted
    out.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*rows, gone)))
    assert cli(*command)[0] == 0
    assert "gone" not in out.with_suffix(".jsonl").read_text() + out.read_text()
    row = rows[0] | {"arena_bytes": 1}  # that a bundle no longer states
    out.with_suffix(".jsonl").write_text(json.dumps(row) + "\n")
    status, _, told = cli(*command)
    assert status == 0 and "a: self-test on host" in told
    bad = tflm_stubs.tree(tmp_path / "bad", right=False)
    out.with_suffix(".jsonl").unlink()
    assert cli(*command[:4], bad, *command[5:])[0] == 1
    assert "has no artifacts" in refused(*command[:2], tmp_path / "bundle", *command[3:])


def test_what_is_missing_is_said(tiny_run, tmp_path, refused, monkeypatch):
    monkeypatch.delenv("AQTAUDIO_TFLM", raising=False)
    assert "--tflm FOLDER is missing" in refused("firmware", "test", tiny_run)
    line = refused("firmware", "test", tiny_run, "--tflm", tmp_path)
    assert "no TFLite Micro tree" in line
    empty = tflm_stubs.tree(tmp_path / "empty", library="")
    line = refused("firmware", "test", tiny_run, "--tflm", empty)
    assert "no library for host" in line and "TARGET_ARCH=x86_64" in line
    line = refused("firmware", "test", tiny_run, "--tflm", empty, "--kernels", "cmsis-nn")
    assert "OPTIMIZED_KERNEL_DIR=cmsis_nn" in line
    shutil.rmtree(empty / "tensorflow/lite/micro/tools/make/downloads/ruy")
    assert "ruy is not among" in refused("firmware", "test", tiny_run, "--tflm", empty)
    good = tflm_stubs.tree(tmp_path / "good")
    resolver = good / tree.RESOLVER
    resolver.write_text(resolver.read_text().replace("AddConv2D", "AddConv"))
    line = refused("firmware", "test", tiny_run, "--tflm", good)
    assert "this TFLite Micro has no AddConv2D" in line
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refused("firmware", "test", tiny_run, "--tflm", good)
    assert "cmake (Debian: cmake)" in line


def test_boards_that_need_a_compiler_say_which(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(boards.BadInput, match=r"gcc-arm-none-eabi .*qemu-system-arm"):
        boards.require_tools(boards.board("mps3-an547"), "arm-none-eabi-")
    with pytest.raises(boards.BadInput, match="allowed: host, mps3-an547, mps2-an386"):
        boards.board("esp32")


def test_the_arena_is_what_was_measured_of_this_very_file(tiny_run, tmp_path):
    program, model = Run(tiny_run).program, Run(tiny_run).model
    rule = arena.stated(program, model, 20_000)
    assert rule.wide_bytes == rule.narrow_bytes > 20_000 and rule.wide_bytes % 16 == 0
    least = {"host": 90_000, "mps3-an547": 15_000, "mps2-an386": 14_000}
    arena.write(tmp_path / "boards.json", arena.Measured(arena.sha256(model), least))
    measured = arena.read(tmp_path / "boards.json")
    assert arena.stated(program, model, 20_000, measured).narrow_bytes == 15_760
    assert arena.stated(program, model, 20_000, measured).wide_bytes == 94_512  # 5 % over the host
    assert arena.stated(program, model + b" ", 20_000, measured) == rule
    (tmp_path / "boards.json").write_text("{}")
    with pytest.raises(boards.BadInput, match="not what was measured"):
        arena.read(tmp_path / "boards.json")


MEASURED = sorted((Path(__file__).parents[2] / "results").glob("*/artifacts/*/boards.json"))


@pytest.mark.parametrize("file", MEASURED, ids=lambda file: file.parent.name)
def test_the_rule_for_arenas_is_safe(file: Path):
    """Without what was measured, more is stated than any board needs."""
    run, measured = Run(file.parent), arena.read(file)
    assert measured is not None and measured.model_sha256 == arena.sha256(run.model)
    host_bytes = json.loads((run.path / "row.json").read_text())["costs"]["arena_bytes"]
    rule = arena.stated(run.program, run.model, host_bytes)
    least = dict(measured.least_arena_bytes)
    assert rule.wide_bytes >= least.pop("host") and rule.narrow_bytes >= max(least.values())
    stated = arena.stated(run.program, run.model, host_bytes, measured)
    assert max(least.values()) <= stated.narrow_bytes <= 1.053 * max(least.values())


@needed
@needs_cmake
@pytest.mark.parametrize("board", boards.BOARDS, ids=lambda board: board.name)
def test_on_the_real_library(board: boards.Board, tiny_run, answer):
    if not tree.libraries(Path(TREE or ""), board):
        pytest.skip(f"no library for {board.name}")
    status, value = answer("firmware", "test", tiny_run, "--tflm", TREE, "--board", board.name)
    assert status == 0 and value["mismatches"] == 0 < value["outputs"]
    assert value["arena_least_bytes"] <= value["arena_bytes"]
