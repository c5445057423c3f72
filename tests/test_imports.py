"""Who may import whom. The direction of a layered package erodes unless something reads it."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest
from house import between_modules, circles, imported, module_files

import aqtaudio
from aqtaudio.tasks.bandwidth.task import Bandwidth
from aqtaudio.tasks.enhancement.task import Enhancement
from aqtaudio.tasks.keywords.task import Keywords

PACKAGE = Path(aqtaudio.__file__).parent
MODULES = {file: module for module, file in module_files(PACKAGE).items()}
FILES = sorted(MODULES)

# Room: what it may import from aqtaudio, beside itself, from the lowest to the highest.
LEAVES = {"errors", "settings", "files"}
ALLOWED = {
    "errors": set(),
    "settings": {"errors"},
    "files": {"errors"},
    "recipe": LEAVES,
    "data": LEAVES,
    "program": LEAVES,
    "detection": LEAVES,
    "study": LEAVES,  # knows rows, and no models, runs or tasks
    "frontends": LEAVES | {"program"},
    "firmware": LEAVES | {"program"},
    "vocabulary": LEAVES | {"recipe", "program"},
    "compression": LEAVES | {"recipe", "vocabulary"},
    "models": LEAVES | {"vocabulary"},
}
ALLOWED["tasks"] = {*ALLOWED, "frontends", "vocabulary", "models"} - {"compression", "study"}
ALLOWED["experiment"] = LEAVES | {"recipe", "data", "frontends", "models", "tasks"}
ALLOWED["training"] = set(ALLOWED) - {"training", "study", "detection"}
ALLOWED["runs"] = set(ALLOWED) - {"runs", "study", "detection"}
ALLOWED["adaptation"] = set(ALLOWED) - {"adaptation", "study"}
ALLOWED["sweep"] = set(ALLOWED) - {"sweep", "adaptation"}
ALLOWED["commands"] = set(ALLOWED) - {"commands"}
ALLOWED["__main__"] = {"commands"}
# Only these may name a model.
NAME_MODELS = {
    "experiment.py",  # the default
    "sweep/quickstart_study.py",
    "tasks/enhancement/clean_targets.py",
    "tasks/enhancement/dnsmos.py",  # what reads files of weights
}
# A task is a room: only these may name one. All else knows `tasks.task`.
NAME_TASKS = ("adaptation/", "commands/", "experiment.py", "sweep/quickstart_study.py")
SHARED_BY_TASKS = {
    *("task", "setup", "stream", "model_network"),
    *("hearing", "sound_file", "sound_source", "sound_target", "sound_quality", "spectrogram"),
}
# Heavy or replaceable packages, and the files that hold them.
HELD = {
    "aqt": {"vocabulary/aqt_arithmetic.py"},
    "tensorflow": {"program/tflite.py"},
    "jax.experimental.jax2tf": {"program/tflite.py"},
    "tflite_micro": {"program/micro_worker.py"},
    "ai_edge_litert": {"program/micro_worker.py", "program/flatbuffer.py"},
    "matplotlib": {
        *("study/figures.py", "study/layer_figure.py", "study/pen.py", "study/time_figure.py"),
        "adaptation/compare_figures.py",
        "tasks/spectrogram.py",
    },
    "moocore": {"study/pareto.py", "study/attainment.py"},
    "optuna": {"study/search.py"},
    "orbax": {"training/checkpoint.py"},
    "ray": {"study/ray_engine.py"},
    "tensorboardX": {"training/metrics_log.py"},
    "h5py": {"models/keras_file.py"},
    "espeakng_loader": {"data/espeak.py"},
    "pesq": {"tasks/sound_quality.py"},
    "pystoi": {"tasks/sound_quality.py"},
    "speechmos": {"tasks/sound_quality.py"},
    "visqol": {"tasks/sound_quality.py"},
    "onnxruntime": {
        "tasks/sound_quality.py",
        "tasks/embedding/file_teachers.py",
        "data/voice_session.py",
    },
    "onnx": {"models/onnx_file.py", "data/piper_noise.py"},
}
TASKS = (Keywords(), Keywords(unheard=("go",)), Enhancement(), Bandwidth())
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "constants"}


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


@functools.cache
def imports(file: Path) -> set[str]:
    """Dotted names of everything a file imports, anywhere in it."""
    return set(imported(MODULES[file], file))


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def ours(file: Path) -> set[str]:
    """What a file imports from the package, without the leading name."""
    return {name.removeprefix("aqtaudio.") for name in imports(file) if within(name, "aqtaudio")}


@functools.cache
def area(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


AREAS = {name: [file for file in FILES if area(file) == name] for name in map(area, FILES)}
EACH = pytest.mark.parametrize("files", AREAS.values(), ids=AREAS)


@EACH
def test_directions(files: list[Path]):
    for file in files:
        if name_of(file) == "__init__.py":
            continue
        allowed = ALLOWED[area(file)] | {area(file), "__version__"}
        for name in ours(file):
            assert any(within(name, known) for known in allowed), f"{name_of(file)} imports {name}"


@EACH
def test_tasks_are_rooms(files: list[Path]):
    """No task imports another one, and nothing else names one."""
    for file in files:
        tasks = {name.split(".")[1] for name in ours(file) if within(name, "tasks") and "." in name}
        tasks -= SHARED_BY_TASKS
        if not name_of(file).startswith(NAME_TASKS):
            own = file.relative_to(PACKAGE).parts[1] if area(file) == "tasks" else None
            assert tasks <= {own}, name_of(file)


@EACH
def test_no_figure_is_named_outside_its_room(files: list[Path]):
    """Studies, runs and training know figures as what a task tells."""
    told = {name for task in TASKS for name in task.headlines.shown}
    for file in files:
        if area(file) in ("tasks", "adaptation", "commands") or file.stem == "quickstart":
            continue
        nodes = ast.walk(ast.parse(file.read_text()))
        values = {node.value for node in nodes if isinstance(node, ast.Constant)}
        assert not told & {x for x in values if isinstance(x, str)}, name_of(file)


def test_no_loose_files():
    """In the package's root; what is there is for all rooms."""
    known = {"__init__", "__main__", "errors", "experiment", "files", "recipe", "settings"}
    assert {file.stem for file in PACKAGE.glob("*.py")} == known


def test_no_circles():
    """Annotations count: what only TYPE_CHECKING imports has to be understood just the same."""
    assert circles(between_modules(PACKAGE)) == []


def test_circles_are_found(tmp_path: Path):
    """Through every form of import that the package may come to use."""
    package = tmp_path / "package"
    (package / "room").mkdir(parents=True)
    sources = {
        "__init__.py": "",
        "a.py": "from package import b, c",
        "b.py": "if TYPE_CHECKING:\n    from package.room.d import anything",
        "c.py": "import numpy, package.b",
        "room/__init__.py": "from .d import anything",
        "room/d.py": "def later():\n    from ..a import anything",
    }
    for name, source in sources.items():
        (package / name).write_text(source)
    arrows = between_modules(package)
    assert circles(arrows) == [["package.a", "package.b", "package.c", "package.room.d"]]
    assert arrows["package.room"] == {"package.room.d"}


@EACH
def test_models_are_not_named_elsewhere(files: list[Path]):
    for file in files:
        if area(file) != "models" and name_of(file) not in NAME_MODELS:
            models = {name for name in ours(file) if within(name, "models")}
            assert all(within(name, "models.published") for name in models), name_of(file)


@pytest.mark.parametrize("package", HELD)
def test_heavy_packages_stay_in_their_files(package: str):
    holders = {name_of(f) for f in FILES if any(within(n, package) for n in imports(f))}
    assert holders <= HELD[package]
    assert holders, f"nobody imports {package}: forget it here"


def test_no_catch_all_modules():
    parts = {part.removesuffix(".py") for f in FILES for part in f.relative_to(PACKAGE).parts}
    tests = {file.stem for file in Path(__file__).parent.rglob("*.py")}
    assert not FORBIDDEN_NAMES & (parts | tests)


def test_no_private_jax():
    """Training code has to run on newer versions too."""
    for file in FILES:
        assert not any(within(name, "jax._src") for name in imports(file)), name_of(file)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("aqtaudio.training.loop", ("tensorflow", "tflite_micro", "ai_edge_litert", "matplotlib")),
        ("aqtaudio.commands.command_line", ("tensorflow", "jax", "flax", "orbax", "matplotlib")),
        (
            "aqtaudio.tasks.sound_quality",
            ("jax", "pesq", "pystoi", "speechmos", "onnxruntime"),
        ),
        ("aqtaudio.study.scheduler", ("tensorflow", "jax", "flax")),
        ("aqtaudio.sweep.quickstart", ("tensorflow", "jax", "flax", "matplotlib")),
    ],
)
def test_what_is_not_loaded(module: str, absent: tuple[str, ...]):
    code = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=True,
    )
    assert done.stdout.strip() == "[]"
