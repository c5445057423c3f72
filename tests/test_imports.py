"""Who may import whom. The direction of a layered package erodes unless something reads it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aqtaudio

PACKAGE = Path(aqtaudio.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Area: what it may import from aqtaudio, beside itself. Areas that are not here (the top: cli,
# pipeline, sweep, ...) may import anything but cli.
ALLOWED = {
    "errors": set(),
    "settings": {"errors"},
    "data": {"errors"},
    "frontends": {"errors", "settings"},
    "program": {"errors"},
    "vocabulary": {"program", "compression.recipe", "errors"},
    "models": {"vocabulary"},
    "compression": {"errors", "settings", "vocabulary"},
    "enhancement": {
        "errors",
        "settings",
        "data",
        "frontends",
        "vocabulary.signal",
        "program.compiler",
    },
    "experiment": {
        "errors",
        "settings",
        "compression.recipe",
        "data",
        "enhancement",
        "frontends",
        "models",
    },
    "training": {
        "errors",
        "program.compiler",
        "settings",
        "experiment",
        "data",
        "enhancement",
        "frontends",
        "vocabulary",
        "compression",
    },
    "study": {"errors"},
    "detection": {"errors"},
}
# Only these may name a model.
NAME_MODELS = {"experiment.py", "quickstart_study.py", "clean_targets.py"}
# Heavy or replaceable packages, and the files that hold them.
HELD = {
    "aqt": {"vocabulary/aqt_arithmetic.py"},
    "tensorflow": {"program/tflite.py"},
    "jax.experimental.jax2tf": {"program/tflite.py"},
    "tflite_micro": {"program/micro_worker.py"},
    "ai_edge_litert": {"program/micro_worker.py", "program/flatbuffer.py"},
    "matplotlib": {
        *("study/figures.py", "study/layer_figure.py", "study/time_figure.py"),
        "adaptation/compare_figures.py",
        "enhancement/spectrogram.py",
    },
    "moocore": {"study/pareto.py", "study/attainment.py"},
    "optuna": {"study/search.py"},
    "orbax": {"training/checkpoint.py"},
    "ray": {"study/ray_engine.py"},
    "tensorboardX": {"training/metrics_log.py"},
    "espeakng_loader": {"data/espeak.py"},
    "pesq": {"enhancement/metrics.py"},
    "pystoi": {"enhancement/metrics.py"},
    "speechmos": {"enhancement/metrics.py"},
    "onnxruntime": {"enhancement/metrics.py"},
}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "constants"}


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imports(file: Path) -> set[str]:
    """Dotted names of everything a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def ours(file: Path) -> set[str]:
    """What a file imports from the package, without the leading name."""
    return {name.removeprefix("aqtaudio.") for name in imports(file) if within(name, "aqtaudio")}


def area(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_directions(file: Path):
    if area(file) not in ALLOWED:
        return
    allowed = ALLOWED[area(file)] | {area(file)}
    for name in ours(file):
        assert any(within(name, known) for known in allowed), f"{name_of(file)} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_imports_the_command_line(file: Path):
    if name_of(file) != "__main__.py":
        assert not any(within(name, "cli") for name in ours(file))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_models_are_not_named_elsewhere(file: Path):
    if area(file) != "models" and name_of(file) not in NAME_MODELS:
        assert not any(within(name, "models") for name in ours(file))


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
        ("aqtaudio.cli", ("tensorflow", "jax", "flax", "orbax", "matplotlib")),
        ("aqtaudio.enhancement.metrics", ("jax", "pesq", "pystoi", "speechmos", "onnxruntime")),
        ("aqtaudio.study.scheduler", ("tensorflow", "jax", "flax")),
        ("aqtaudio.quickstart", ("tensorflow", "jax", "flax", "matplotlib")),
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
