"""How long people wait for commands, with an empty cache and later; of several trees side by side.

    python benchmarks/everyday.py --data DIR [--tree NAME=CHECKOUT ...] [--only VERB ...]

Each command runs in a process of its own on artifacts that are in the repository, first with an
empty cache ("cold"), then `--times` more times ("warm": the median). Trees take turns: one command
of all, then the next. Prints a Markdown table: seconds of wall time, in brackets seconds of
processor time. What a tree does not have is "-". Where a sound goes in through a pipe, it is the
first answer that is timed.
"""

import argparse
import contextlib
import dataclasses
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parents[1]
RATE_HZ = 16_000
PIPED_S = 6.0
"""Of noise that goes into pipes, as fast as it sounds."""


@dataclasses.dataclass(frozen=True)
class Command:
    """What is timed.

    Attributes:
      name: for people.
      line: arguments, paths in the tree; {data}, {wav}, {narrow} (8 kHz), {out} and {study} (a
        copy) are filled in.
      piped: whether sound comes through a pipe and the first answer is what counts.
      says: whether what it tells people is an answer, too.
      status: that it ends with.
    """

    name: str
    line: str
    piped: bool = False
    says: bool = False
    status: int = 0


CLIPS = "results/kws_ds_cnn/artifacts/a8b2b20cd48a"
STREAM = "results/kws_models/artifacts/0c1a516b2f15"
COMMANDS = (
    Command("cost RUN", f"cost {CLIPS}"),
    Command("check FILE", f"check {CLIPS}/model.tflite"),
    Command("check RUN", f"check {CLIPS}"),
    Command("choose STUDY", "choose results/kws_ds_cnn --max-flash 24KB"),
    Command("report STUDY", "report {study}"),
    Command("evaluate RUN --limit 1", f"evaluate {CLIPS} --data {{data}} --limit 1"),
    Command("evaluate RUN", f"evaluate {CLIPS} --data {{data}}"),
    Command("parity RUN --n 100", f"parity {CLIPS} --n 100"),
    Command("export RUN", f"export {CLIPS} --out {{out}}"),
    Command("data check DIR", "data check {data}"),
    Command("listen RUN FILE", f"listen {STREAM} {{wav}}"),
    Command("listen RUN -: first line", f"listen {STREAM} -", piped=True, says=True),
    Command("enhance FILE (2 s)", "enhance {wav} {out}.wav"),
    Command("enhance - -: first samples", "enhance - - --rate 16000", piped=True),
    Command("extend FILE (2 s)", "extend {narrow} {out}.wav"),
    Command("a folder that is not there", f"evaluate {CLIPS} --data gone", status=2),
    Command(
        "a setting that is not there",
        "train configs/kws_ds_cnn.py --data {data} --out {out} --model.depth 3",
        status=2,
    ),
    Command("a study on no folder", "sweep sweeps/kws_ds_cnn.py --data gone", status=2),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tree", action="append", default=[], metavar="NAME=CHECKOUT")
    parser.add_argument("--only", action="append", metavar="VERB", help="what begins so")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    trees = dict(tree.split("=", 1) for tree in options.tree) | {"now": str(HERE)}
    wanted = tuple(options.only or ("",))
    print("Seconds of wall time (of processor time); cold: with an empty cache.\n")
    titles = [f"{tree}, {how}" for tree in trees for how in ("cold", "warm")]
    print(f"| | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}")
    for command in COMMANDS:
        if command.name.startswith(wanted):
            cells = timed(command, trees, options.data.resolve(), options.times)
            print(f"| {command.name} | {' | '.join(cells)} |", flush=True)


def timed(command: Command, trees: dict[str, str], data: Path, times: int) -> list[str]:
    """Cold and warm, of each tree."""
    with tempfile.TemporaryDirectory() as place:
        found: dict[str, list[tuple[float, float] | None]] = {name: [] for name in trees}
        for number in range(times + 1):
            for name, tree in trees.items():
                folder = Path(place) / name
                folder.mkdir(exist_ok=True)
                found[name].append(once(command, Path(tree), data, folder, number))
    cells = []
    for waits in found.values():
        known = [wait for wait in waits if wait is not None]
        if len(known) < len(waits):
            cells += ["-", "-"]
            continue
        warm = [statistics.median(kind) for kind in zip(*known[1:], strict=True)]
        cells += [f"{wall:.1f} ({busy:.1f})" for wall, busy in (known[0], warm)]
    return cells


def once(
    command: Command, tree: Path, data: Path, folder: Path, number: int
) -> tuple[float, float] | None:
    """Seconds of wall and processor time; None where the tree cannot do it."""
    wav, out = folder / "sound.wav", folder / f"out_{number}"
    narrow = folder / "narrow.wav"
    if not wav.exists():
        soundfile.write(wav, noise(2.0), RATE_HZ)
        soundfile.write(narrow, noise(2.0)[::2], RATE_HZ // 2)
    study = folder / "study"
    if "{study}" in command.line and not study.exists():
        shutil.copytree(tree / "results/kws_ds_cnn", study)
    known = {"data": data, "wav": wav, "narrow": narrow, "out": out, "study": study}
    arguments = [part.format(**known) for part in command.line.split()]
    environment = os.environ | {"AQTAUDIO_CACHE": str(folder / "cache"), "PYTHONPATH": str(tree)}
    before, started = os.times(), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "aqtaudio", *arguments],
        cwd=tree,
        env=environment,
        stdin=subprocess.PIPE if command.piped else subprocess.DEVNULL,
        stdout=subprocess.PIPE if command.piped else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if command.says else subprocess.DEVNULL,
    )
    wall_s = first_answer_s(process, started) if command.piped else None
    status = process.wait()
    after = os.times()
    if wall_s is None:
        wall_s = time.monotonic() - started
    busy_s = after.children_user + after.children_system
    busy_s -= before.children_user + before.children_system
    return (wall_s, busy_s) if status == command.status else None


def first_answer_s(process: subprocess.Popen, started: float) -> float | None:
    """Plays noise into a process: seconds until it says something."""
    assert process.stdin and process.stdout
    os.set_blocking(process.stdout.fileno(), False)
    samples, step, answered = (noise(PIPED_S) * 32767).astype("<i2"), RATE_HZ // 20, None
    begun = time.monotonic()
    for start in range(0, len(samples), step):
        try:
            process.stdin.write(samples[start : start + step].tobytes())
            process.stdin.flush()
        except BrokenPipeError:
            break
        while time.monotonic() - begun < (start + step) / RATE_HZ:
            time.sleep(0.005)
            if answered is None and process.stdout.read(1):
                answered = time.monotonic() - started
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    os.set_blocking(process.stdout.fileno(), True)
    while part := process.stdout.read(1 << 16):
        if answered is None and part:
            answered = time.monotonic() - started
    return answered


def noise(seconds: float) -> np.ndarray:
    """Full scale 1, -30 dBFS."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 10 ** (-30 / 20), round(seconds * RATE_HZ)).clip(-1, 1)


if __name__ == "__main__":
    main()
