"""From a finished run to what is kept of it, and to a bundle for a device."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder, write, write_arrays, write_json
from aqtaudio.firmware import arena, sums
from aqtaudio.frontends import named
from aqtaudio.program.check import Report, check
from aqtaudio.program.cost import cost
from aqtaudio.program.execute import Executor
from aqtaudio.runs.join import deployed
from aqtaudio.runs.lists import EVALUATION, FOLDER, SAMPLES
from aqtaudio.runs.parity import random_codes, recorded_codes
from aqtaudio.runs.run import BOARDS, FILES, GOLDEN, PROGRAM_JSON, Run

GOLDEN_CLIPS = 16
FIRMWARE = "firmware"


def export(
    run: Run,
    out: Path,
    folders: Sequence[Path] = (),
    which: str = FOLDER,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Writes a bundle: all that an artifact has, and firmware, front end, op report.

    Golden vectors come from recordings where `folders` are given or the artifact has kept some,
    else from random codes. `which`: of whose list, "folder" or "run"; `say` is told where these
    differ.
    """
    executor = _executor(run)
    codes = golden_codes(run, executor, folders, which, say)
    report = _require_compatible(run)
    with new_folder(out) as folder:
        _copy(run, folder, codes if folders else None)
        for file in _lists(run):
            shutil.copy(file, folder / file.name)
        _write_firmware(run, executor, codes, report, folder / FIRMWARE)
        named.write(run.experiment.frontend, folder)
        _write_device_files(run, executor, folder)
        sums.keep(folder / FIRMWARE)
        write_json(folder / PROGRAM_JSON, run.program.to_json())
        operations = cost(run.program).to_json() | {"check": report.to_json()}
        write_json(folder / "operations.json", operations)
    return out


def firmware_folder(run: Run, scratch: Path) -> Path:
    """The firmware of a bundle, as it was exported; made in `scratch` of a run that is none.

    Raises BadInput where a file of a bundle was edited.
    """
    own = run.path / FIRMWARE
    if own.is_dir():
        sums.require(own)
        return own
    executor = Executor(run.program)
    codes = golden_codes(run, executor, ())
    _write_firmware(run, executor, codes, _require_compatible(run), scratch)
    return scratch


def _write_firmware(
    run: Run, executor: Executor, codes: np.ndarray, report: Report, folder: Path
) -> None:
    from aqtaudio.firmware.bundle import write_bundle

    setup = run.experiment.setup
    block_ms = setup.block_ms if setup.streams else None
    folder.mkdir(parents=True, exist_ok=True)
    measured = arena.read(run.path / BOARDS)
    size = arena.stated(run.program, run.model, report.arena_bytes or 0, measured)
    write_bundle(folder, run.program, run.model, size, codes, executor(codes), block_ms)


def keep(run: Run, study: Path, folders: Sequence[Path] = ()) -> Path:
    """Writes `artifacts/<name of the run>` of a study: what `export` makes a bundle of.

    The study keeps the evaluation list of its first artifact; one that has another has its own.
    Of a head behind an encoder both are kept, joined.
    """
    kept = study / "artifacts" / run.path.name
    with deployed(run) as whole:
        executor = _executor(whole)
        codes = golden_codes(whole, executor, folders) if folders else None
        _require_compatible(whole)
        with new_folder(kept) as folder:
            _copy(whole, folder, codes)
            _share_lists(_lists(whole), study, folder)
    return kept


def _executor(run: Run) -> Executor:
    """Of its program. Of a float run, which has none, BadInput says what computes in floats."""
    if run.experiment.recipe.mode == "float":
        _require_compatible(run)
    return Executor(run.program)


def _require_compatible(run: Run) -> Report:
    report = check(run.model)
    if not report.micro_compatible:
        raise BadInput(f"{run.path}: not Micro-compatible: {'; '.join(report.reasons)}")
    return report


def _copy(run: Run, folder: Path, golden: np.ndarray | None) -> None:
    for name in FILES:
        if (run.path / name).exists():
            shutil.copy(run.path / name, folder / name)
    if golden is not None:
        write_arrays(folder / GOLDEN, {"inputs": golden})


def _lists(run: Run) -> list[Path]:
    """Its evaluation list, and what tells the samples of the clips."""
    if run.evaluation_file is None:
        return []
    files = [run.evaluation_file, run.evaluation_file.with_name(SAMPLES)]
    return [file for file in files if file.exists()]


def _share_lists(own: Sequence[Path], study: Path, folder: Path) -> None:
    """The study's lists where they are the run's, or the run's own."""
    if not (study / EVALUATION).exists():
        for file in own:
            shutil.copy(file, study / file.name)
    elif any(_differs(file, study / file.name) for file in own):
        for file in own:
            shutil.copy(file, folder / file.name)


def _differs(file: Path, other: Path) -> bool:
    return not other.exists() or file.read_bytes() != other.read_bytes()


def _write_device_files(run: Run, executor: Executor, folder: Path) -> None:
    """What the device computes around the program."""
    experiment = run.experiment
    task = experiment.task
    texts = {**task.device_files(experiment.setup, executor), **task.stored_files(run.path)}
    for name, text in texts.items():
        file = folder / name
        is_more = file.name == "README.md" and file.exists()
        write(file, f"{file.read_text()}\n{text}" if is_more else text)


def golden_codes(
    run: Run,
    executor: Executor,
    folders: Sequence[Path],
    which: str = FOLDER,
    say: Callable[[str], None] = lambda text: None,
) -> np.ndarray:
    """Input codes of a few clips, two of a stream's: of recordings, those that were kept, or
    random ones.
    """
    task, setup, count = run.experiment.task, run.experiment.setup, GOLDEN_CLIPS
    if setup.streams:
        count = task.golden_frames(setup) // setup.block_frames
    if folders:
        data = run.data(folders, ("val",))
        listed = run.listed(data, "val", which)
        if listed.notice:
            say(listed.notice)
        return recorded_codes(run, executor, data, count, listed.items)
    if (run.path / GOLDEN).exists():
        return _kept_codes(run)
    return random_codes(run.program, count, seed=0)


def _kept_codes(run: Run) -> np.ndarray:
    """Golden inputs that came with the artifact."""
    file, edge = run.path / GOLDEN, run.program.edges[run.program.inputs[0]]
    try:
        with np.load(file) as kept:
            codes = kept["inputs"]
    except Exception as error:  # noqa: BLE001 - zip, zlib and npy raise many kinds
        raise BadInput(f"{file}: not readable ({error})") from error
    if codes.shape[1:] != edge.shape or codes.dtype != edge.dtype:
        raise BadInput(f"{file}: not inputs of the program")
    return codes
