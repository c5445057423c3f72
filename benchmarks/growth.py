"""How commands grow: processor time and memory by the number of clips, of rows, of minutes.

    python benchmarks/growth.py [--sizes 1000 10000 100000] [--minutes 1 10 60] [--only ACTION ...]
        [--work FOLDER] [--out results/benchmarks]

Every figure is one process on data that the script makes: recordings of a quarter of a second, a
study's rows with other ids and figures, one long recording. A cell is seconds of processor time and
the process's largest memory, starting Python included, and compiling (kept programs are used where
there are any, so call it twice). The last column is the exponent of growth between the two largest
sizes: 1 is linear, 0 does not grow. Writes growth.json and growth.md, an item at a time, and goes
on where it was stopped.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import HERE, Journal, Skipped, described, table

RATE_HZ, CLIP_SAMPLES = 8000, 2000
WORDS = ("one", "two", "three", "four")
STUDY = HERE / "results/kws_ds_cnn"
STREAM = HERE / "results/kws_models/artifacts/0c1a516b2f15"
LISTENS_AT_HZ = 16_000
CONFIG = f"""
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.tasks.keywords.task import Keywords

STEPS = Optimizer(steps=2, batch_size=64, warmup_steps=1)
EXPERIMENT = Experiment(
    model=DSCNN(width=8, blocks=1),
    task=Keywords({WORDS[:2]}, clip_ms=250),
    frontend=Mfcc(sample_rate_hz={RATE_HZ}, upper_hz=3500.0),
    optimizer=STEPS,
    finetune=STEPS,
    calibration_batches=1,
)
"""
# What a child process runs where no command ends there.
LOADING = """
import sys
from pathlib import Path
from aqtaudio.experiment import load_config
run = load_config(Path(sys.argv[1]))
data = run.task.prepared(run.task.load([Path(sys.argv[2])], run.setup, ("train", "val")), run.setup)
data.evaluation_arrays(data.evaluation_list("val"))
"""
STEPPING = LOADING + "for step in range(200):\n    data.training_batch(step, 64, 0)\n"
CLIPS = ("import", "check", "training start", "200 batches", "evaluate")
ROWS = ("report", "choose")
MINUTES = ("listen", "enhance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60])
    parser.add_argument("--only", nargs="+", choices=(*CLIPS, *ROWS, *MINUTES))
    parser.add_argument("--work", type=Path, help="kept; default: a temporary folder")
    parser.add_argument("--out", type=Path, default=HERE / "results/benchmarks")
    options = parser.parse_args()
    journal = Journal(options.out / "growth.json", facts())
    with contextlib.ExitStack() as opened:
        work = options.work or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        wanted = options.only or (*CLIPS, *ROWS, *MINUTES)
        for action in wanted:
            sizes = options.minutes if action in MINUTES else options.sizes
            for size in sizes:
                name = f"{action}: {size:g}"
                journal.take(name, lambda a=action, s=size: measured(a, s, work))
                print(name, journal.done.get(name, journal.skipped.get(name)), flush=True)
    (options.out / "growth.md").write_text(text(journal))


def facts() -> dict[str, Any]:
    """Of the machine, asked by another process: a child's memory begins with its parent's."""
    code = "import json, measuring; print(json.dumps(measuring.machine()))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measured(action: str, size: float, work: Path) -> dict[str, float]:
    """Seconds of processor time and MiB of a process."""
    if action in CLIPS:
        return ended(of_clips(action, int(size), work))
    if action in ROWS:
        return ended(of_rows(action, int(size), work))
    return ended(of_minutes(action, size, work))


def ended(command: list[str]) -> dict[str, float]:
    """Runs a command to its end. Skipped where it fails: with its last line."""
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    with tempfile.TemporaryFile() as said:
        begin = time.monotonic()
        process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode > 1:  # 1: `check` found something
            said.seek(0)
            raise Skipped((said.read().decode(errors="replace").splitlines() or ["?"])[-1])
    return {
        "wall_s": round(time.monotonic() - begin, 2),
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "memory_mib": round(used.ru_maxrss / 1024),
    }


def verb(*arguments: object) -> list[str]:
    """A command of the project."""
    return [sys.executable, "-m", "aqtaudio", *map(str, arguments)]


# --- clips


def of_clips(action: str, count: int, work: Path) -> list[str]:
    """What to run on so many recordings."""
    config = work / "config.py"
    config.write_text(CONFIG)
    if action == "import":
        shutil.rmtree(work / "imported", ignore_errors=True)
        return verb("data", "import", "folders", tree(count, work), "--out", work / "imported")
    data = made(work / f"data_{count}", lambda out: imported(tree(count, work), out))
    if action == "check":
        return verb("data", "check", data)
    if action == "evaluate":
        run = made(work / "run", lambda out: trained(config, data, out))
        return verb("evaluate", run, "--data", data)
    code = LOADING if action == "training start" else STEPPING
    return [sys.executable, "-c", code, str(config), str(data)]


def made(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that is made once, whole."""
    if not folder.exists():
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        make(new)
        new.rename(folder)
    return folder


def tree(count: int, work: Path) -> Path:
    """So many recordings, one of ten of them noise, and a speaker per five."""

    def write(folder: Path) -> None:
        rng = np.random.default_rng(0)
        for name in (*WORDS, "_background_noise_"):
            (folder / name).mkdir(parents=True)
        for number in range(count):
            word = "_background_noise_" if number % 10 == 0 else WORDS[number % len(WORDS)]
            samples = rng.integers(-3000, 3000, CLIP_SAMPLES).astype("<i2")
            speaker = f"s{number // 5:05d}"
            write_wav(folder / word / f"{speaker}_{number}.wav", [samples], RATE_HZ)

    return made(work / f"tree_{count}", write)


def write_wav(path: Path, parts: Any, rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        for part in parts:
            file.writeframes(part.tobytes())


def imported(source: Path, out: Path) -> None:
    ended(verb("data", "import", "folders", source, "--out", out, "--speaker", "(s[0-9]+)_"))


def trained(config: Path, data: Path, out: Path) -> None:
    ended(verb("train", config, "--data", data, "--out", out))


# --- rows


def of_rows(action: str, count: int, work: Path) -> list[str]:
    """What to run on a study of so many rows."""
    study = made(work / f"study_{count}", lambda out: write_study(out, count))
    if action == "report":
        return verb("report", study)
    return verb("choose", study, "--max-flash", "24KB", "--out", work / f"chosen_{count}")


def write_study(folder: Path, count: int) -> None:
    """A committed study and rows like its own, each a little worse; its front is the best."""
    shutil.copytree(STUDY, folder)
    lines = (STUDY / "rows.jsonl").read_text().splitlines()
    kept = {artifact.name for artifact in (STUDY / "artifacts").iterdir()}
    # What is chosen is exported, so it is one of those of which there are artifacts.
    lines.sort(key=lambda line: json.loads(line)["run_id"] not in kept)
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(count):
            row = json.loads(lines[number % len(lines)])
            again = number // len(lines)
            if again:
                row["run_id"] = f"{number:012x}"
                row["name"] = f"{row['name']} {again}"
                row["config_delta"]["optimizer.learning_rate"] = 1e-3 / again
            if row["run_id"] not in kept:
                for scores in row["metrics"].values():
                    scores["accuracy"] -= 0.05 + 0.1 * (again % 97) / 97
            file.write(json.dumps(row) + "\n")


# --- minutes


def of_minutes(action: str, minutes: float, work: Path) -> list[str]:
    """What to run on a recording."""
    recording = work / f"noise_{minutes:g}.wav"
    if not recording.exists():
        write_wav(recording, noise(minutes), LISTENS_AT_HZ)
    if action == "listen":
        return verb("listen", STREAM, recording)
    return verb("enhance", recording, work / "enhanced.wav")


def noise(minutes: float) -> Iterator[np.ndarray]:
    """A second at a time."""
    rng = np.random.default_rng(0)
    for _ in range(round(60 * minutes)):
        yield rng.integers(-300, 300, LISTENS_AT_HZ).astype("<i2")


# --- what was found


def text(journal: Journal) -> str:
    """The journal in Markdown."""
    found: dict[str, dict[float, Any]] = {}
    for name, figures in journal.done.items():
        action, size = name.rsplit(": ", 1)
        found.setdefault(action, {})[float(size)] = figures
    lines = ["# Growth", "", described(journal.facts), ""]
    for title, actions in (("clips", CLIPS), ("rows", ROWS), ("minutes", MINUTES)):
        rows = [row(action, found[action]) for action in actions if action in found]
        if rows:
            lines += [f"By {title}: seconds of processor time (MiB at most).", "", table(rows), ""]
    lines += [f"Skipped: {name}: {reason}." for name, reason in journal.skipped.items()]
    return "\n".join(lines).rstrip() + "\n"


def row(action: str, found: dict[float, Any]) -> dict[str, str]:
    """Cells of an action, and its exponents."""
    sizes = sorted(found)
    cells = {"": action}
    for size in sizes:
        cells[f"{size:,g}"] = f"{found[size]['processor_s']:.1f} ({found[size]['memory_mib']:,})"
    if len(sizes) > 1:
        one, other = sizes[-2:]
        for title, figure in (("time ~ n^", "processor_s"), ("memory ~ n^", "memory_mib")):
            times = found[other][figure] / max(found[one][figure], 1e-3)
            cells[title] = f"{math.log(times) / math.log(other / one):.2f}"
    return cells


if __name__ == "__main__":
    main()
