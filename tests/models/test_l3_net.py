"""L3-Net and its students: sizes to the integer, published weights against Keras' arithmetic."""

import dataclasses
import gzip
from pathlib import Path
from typing import Any

import flax.linen as nn
import h5py
import jax
import jax.numpy as jnp
import keras_network
import numpy as np
import pytest
from cases import SMALL_EMBEDDINGS, Case
from keras_network import audio_subnetwork
from tone_task import Height
from trained import random_features, untrained

from aqtaudio.compression.calibrate import calibrate, unobserved
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.decibels import WindowDecibels
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models import published
from aqtaudio.models.l3_net import STUDENT_WIDTHS, L3Net
from aqtaudio.program.cost import cost
from aqtaudio.program.depth_first import depth_first
from aqtaudio.program.execute import Executor
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import W8A8
from aqtaudio.training import restore
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import flatten
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

SEA_64 = L3Net(STUDENT_WIDTHS[3])
STUDENT_MAP = (50, 64)
LARGEST_DIFFERENCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Parameters with every number of every batch norm; elements of maps."""

    model: L3Net
    features: tuple[int, int]
    normed_params: int
    params: int
    kernels: int
    macs: int
    largest_map: int
    in_and_out: int


OPEN_L3 = L3Net(signed=True)
SIZES = {
    "student 2": Sizes(
        L3Net(STUDENT_WIDTHS[2]), STUDENT_MAP,
        584_420, 581_600, 580_896, 131_272_704, 102_400, 204_800,
    ),
    "l3 mel256": Sizes(
        OPEN_L3, (199, 256), 4_689_860, 4_684_224, 4_682_304, 10_202_628_096, 3_260_416, 6_520_832
    ),
    "l3 mel128": Sizes(
        OPEN_L3, (199, 128), 4_689_860, 4_684_224, 4_682_304, 5_101_314_048, 1_630_208, 3_260_416
    ),
    "student 0": Sizes(
        L3Net(), STUDENT_MAP, 4_691_908, 4_684_224, 4_682_304, 636_493_824, 204_800, 409_600
    ),
    "student 1": Sizes(
        L3Net(STUDENT_WIDTHS[1]), STUDENT_MAP,
        1_175_524, 1_171_680, 1_170_720, 159_584_256, 102_400, 204_800,
    ),
    "student 3": Sizes(
        SEA_64, STUDENT_MAP, 399_460, 397_152, 396_576, 122_425_344, 102_400, 204_800
    ),
}  # fmt: skip
FAST = ("student 2", "l3 mel256")
EACH_SIZE = pytest.mark.parametrize(
    "name",
    [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SIZES if name not in FAST)],
)


def of_ones(model: L3Net, features: tuple[int, int]) -> dict[str, Any]:
    """Variables of the float model."""
    signal = start(jnp.zeros((1, *features)), Floating())
    shapes = jax.eval_shape(model.init, jax.random.key(0), signal)
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)


def program_of(model: L3Net, features: tuple[int, int]) -> Program:
    """Of weights that are all alike: for what follows from shapes."""
    variables = of_ones(model, features)
    params = fold(variables["params"], variables["batch_stats"])
    ranges = jax.tree.map(np.ones_like, unobserved(model, params, features, W8A8))
    return record(model, {"params": params, "ranges": ranges}, features, W8A8)


@EACH_SIZE
def test_sizes_are_the_published_ones(name: str):
    expected = SIZES[name]
    program = program_of(expected.model, expected.features)
    costs = cost(program)
    assert costs.total("params") == expected.params
    assert costs.total("macs") == expected.macs
    weights = [
        op.constants["weights"].size for op in program.operations if "weights" in op.constants
    ]
    assert sum(weights) == expected.kernels
    edges = program.edges.values()
    assert {edge.bits for edge in edges} == {8}
    assert max(edge.bytes for edge in edges) == expected.largest_map
    assert costs.activation_bytes == expected.in_and_out
    assert program.edges[program.outputs[0]].shape == (expected.model.outputs,)


@pytest.mark.parametrize("name", SIZES)
def test_parameters_with_batch_norm_are_the_published_ones(name: str):
    """Ours, and what Keras has besides: a bias before each norm, and the norm of the input."""
    expected = SIZES[name]
    variables = of_ones(expected.model, expected.features)
    layers = flatten(variables["params"]).values()
    biases = sum(layer["gamma"].size for layer in layers if "gamma" in layer)
    own = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert own + biases + 4 == expected.normed_params


def test_operations_of_the_linear_spectrogram():
    """Counted once more by the map's sizes."""
    (frames, bands), widths, macs, channels = (197, 257), (64, 128, 256, 512), 0, 1
    for width in widths:
        macs += frames * bands * 9 * width * (channels + width)
        frames, bands, channels = frames // 2, bands // 2, width
    assert macs == cost(program_of(OPEN_L3, (197, 257))).total("macs") == 10_162_522_944


SMALLER = {
    "separable": (
        L3Net((32, 64, 128, 128), projection=64, separable_blocks=(1, 2, 3, 4)),
        (17_468_416, 78_176),
    ),
    "strided": (
        L3Net((24, 48, 64, 96), separable_blocks=(3, 4), first_strides=(2, 2)),
        (10_886_016, 61_480),
    ),
}


@pytest.mark.parametrize("name", ["separable", pytest.param("strided", marks=pytest.mark.slow)])
def test_smaller_relatives(name: str):
    """Within 30 million operations a window and 100 kB; counted by hand layer by layer."""
    model, (macs, kernels) = SMALLER[name]
    program = program_of(model, STUDENT_MAP)
    weights = [
        op.constants["weights"].size for op in program.operations if "weights" in op.constants
    ]
    assert (cost(program).total("macs"), sum(weights)) == (macs, kernels)
    assert macs < 30e6 and kernels < 100e3


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"separable_blocks": (5,)}, "separable_blocks are"),
        ({"convolutions": (2, 2, 2, 0)}, "at least 1 a block"),
        ({"places": (4, 1)}, "do not divide the last map, 6x8"),
        ({"places": (0, 1)}, "at least"),
    ],
)
def test_settings_that_make_no_network(settings: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        of_ones(L3Net((2, 2, 2, 2), **settings), STUDENT_MAP)


@pytest.mark.slow
@pytest.mark.parametrize("case", SMALL_EMBEDDINGS, ids=lambda case: case.name)
def test_programs_have_the_integers_of_micro(case: Case):
    """Of every form of the network, from initial weights."""
    program = untrained(case)
    executor = Executor(program)
    codes = executor.quantize(random_features(case, 16, seed=1))
    expected = executor(codes)
    assert np.ptp(expected, axis=0).max() > 20
    with Micro(to_tflite(program)) as micro:
        np.testing.assert_array_equal(micro.invoke(codes)[0], expected)


@pytest.fixture(scope="module")
def sea64(shared_folder) -> Path:
    file = shared_folder / "golden" / "sea" / "sea64.h5.gz"
    if not file.is_file():
        pytest.skip("no published student in the shared folder")
    return file


def windows() -> np.ndarray:
    """Seconds at 8 kHz, float32 [n, 8000]: noises, tones, silence, a chirp, bursts.

    Of 16 bits, as recordings are. Between the lines of a purer tone there is nothing but what the
    arithmetic rounds.
    """
    rng, time = np.random.default_rng(3), np.arange(8000) / 8000
    noise = rng.standard_normal(8000)
    made = [
        0.1 * noise,
        1e-4 * np.cumsum(noise),
        0.3 * np.sin(2 * np.pi * 440 * time),
        0.9 * np.sign(np.sin(2 * np.pi * 113 * time)),
        np.zeros(8000),
        0.5 * np.sin(2 * np.pi * (100 + 1500 * time) * time) * np.exp(-3 * time),
        0.2 * noise * (np.sin(2 * np.pi * 4 * time) > 0.6),
        np.where(time < 0.5, 0, 0.05 * noise + 0.2 * np.sin(2 * np.pi * 1000 * time)),
    ]
    return (np.rint(32767 * np.clip(made, -1, 1)) / 32768).astype(np.float32)


def embed(model: L3Net, variables: dict[str, Any], features: Any) -> np.ndarray:
    apply = jax.jit(lambda v, x: model.apply(v, start(x, Floating())).real())
    with jax.default_matmul_precision("highest"):
        return np.asarray(apply(variables, features))


def test_the_published_student_gives_its_embeddings(sea64: Path):
    """As the float model and folded, as it is quantized.

    The file's transform is rounded to float32, which a tone shows: at -59 dB, between its lines.
    """
    layers, arrays = keras_network.read(sea64)
    exact = keras_network.unrounded(arrays)
    variables = published.read(SEA_64, str(sea64))
    params = {"params": fold(variables["params"], variables["batch_stats"])}
    features = WindowDecibels()(windows())
    found, folded = (embed(SEA_64, x, features) for x in (variables, params))
    for oracle, limit in ((exact, LARGEST_DIFFERENCE), (arrays, 1e-3)):
        expected = [keras_network.run(layers, oracle, window) for window in windows()]
        np.testing.assert_allclose(found, expected, atol=limit, rtol=1e-5)
        np.testing.assert_allclose(folded, expected, atol=limit, rtol=1e-5)
    assert (found >= 0).all() and found.max() > 5


def test_every_parameter_of_the_published_student_is_read(sea64: Path):
    _, arrays = keras_network.read(sea64)
    network = {name: x for name, x in arrays.items() if not name.startswith("melspectrogram")}
    assert sum(x.size for x in network.values()) == 399_460
    variables = published.read(SEA_64, str(sea64))
    joined = sum(x.size for name, x in network.items() if name.endswith("/bias"))
    own = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert own + joined + 4 == 399_460


@pytest.fixture(scope="module")
def calibrated_student(sea64: Path) -> tuple[dict[str, Any], np.ndarray]:
    """({"params", "ranges"}, features) of the published student, after training."""
    variables = published.read(SEA_64, str(sea64))
    params = fold(variables["params"], variables["batch_stats"])
    features = np.asarray(WindowDecibels()(windows()))
    ranges = calibrate(SEA_64, params, [features], W8A8)
    return {"params": params, "ranges": ranges}, features


@pytest.mark.slow
def test_the_published_student_after_training(calibrated_student):
    """In int8: the same integers in TFLite Micro, nearly the same direction, and its sizes.

    The arena holds both maps of the first block; in stripes it holds those of the second.
    """
    variables, features = calibrated_student
    program = record(SEA_64, variables, STUDENT_MAP, W8A8)
    executor = Executor(program)
    codes = executor.quantize(features)
    expected = executor(codes)
    for made, most_bytes, most_arena_bytes in (
        (program, 410_000, 213_000),
        (depth_first(program, "pool_1", 3), 413_000, 115_000),
    ):
        file = to_tflite(made)
        assert len(file) <= most_bytes
        with Micro(file) as micro:
            assert micro.arena_used_bytes <= most_arena_bytes
            np.testing.assert_array_equal(micro.invoke(codes[:3])[0], expected[:3])
    real = embed(SEA_64, {"params": variables["params"]}, features)
    found = executor.dequantize(expected)
    cosines = (real * found).sum(-1)
    cosines /= np.linalg.norm(real, axis=-1) * np.linalg.norm(found, axis=-1)
    assert cosines.min() > 0.98


def made_arrays(norms: int, widths: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays called "layer/part" of a network of the published layout."""
    rng, channels, width, arrays = np.random.default_rng(seed), 1, 1, {}
    for kind, name, _ in audio_subnetwork(norms):
        if kind == "Conv2D":
            number = 8 if name == "audio_embedding_layer" else int(name.split("_")[-1])
            width = widths[(number - 1) // 2]
            deviation = (2 / (9 * channels)) ** 0.5
            arrays[f"{name}/kernel"] = deviation * rng.standard_normal((3, 3, channels, width))
            arrays[f"{name}/bias"] = rng.standard_normal(width) - (2 if number == 8 else 0)
            channels = width
        elif kind == "BatchNormalization":
            centre, spread = (-26.0, 110.0) if name.endswith("_1") else (0.0, 1.0)
            arrays[f"{name}/gamma"] = rng.uniform(0.7, 1.3, width)
            arrays[f"{name}/beta"] = 0.2 * rng.standard_normal(width)
            arrays[f"{name}/moving_mean"] = centre + 0.2 * rng.standard_normal(width)
            arrays[f"{name}/moving_variance"] = spread * rng.uniform(0.5, 2.0, width)
    return {name: np.float32(x) for name, x in arrays.items()}


def written(file: Path, arrays: dict[str, np.ndarray], form: str = "{0}/{0}/{1}:0") -> Path:
    """A Keras file; `form`: where an array lies, by layer and part."""
    with h5py.File(file, "w") as opened:
        for name, values in arrays.items():
            opened[form.format(*name.split("/"))] = values
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(file.read_bytes()))
    return file


WIDTHS = (3, 4, 5, 6)
FORMS = {
    "weights": "{0}/{0}/{1}:0",
    "whole model": "model_weights/{0}/{0}/{1}:0",
    "scopes with numbers": "{0}/{0}_2/{1}:0",
    "no scopes": "{0}/{1}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_open_l3s_layout(tmp_path: Path, form: str):
    """Signed embeddings, of one place and of twelve."""
    arrays = made_arrays(8, WIDTHS)
    file = str(written(tmp_path / "open_l3.h5", arrays, FORMS[form]))
    levels = np.random.default_rng(1).uniform(-60, 0, (51, 33)).astype(np.float32)
    model = L3Net(WIDTHS, signed=True)
    mean, scale = published.normalisation(model, file)  # type: ignore[misc]
    features = (levels[None] - mean) / scale
    variables = published.read(model, file)
    published.require_layers(variables, model, levels.shape, file)
    last = keras_network.run(audio_subnetwork(8), arrays, np.float64(levels.T[..., None]))
    found = embed(model, variables, features)[0]
    np.testing.assert_allclose(found, last.max((0, 1)), atol=LARGEST_DIFFERENCE)
    assert last.shape == (4, 6, 6) and found.min() < 0 < found.max()
    # Of a pool's windows, bands first.
    places = L3Net(WIDTHS, signed=True, places=(3, 2))
    found = embed(places, variables, features)[0]
    expected = last.reshape(2, 2, 3, 2, 6).max((1, 3)).reshape(-1)
    np.testing.assert_allclose(found, expected, atol=LARGEST_DIFFERENCE)
    assert places.outputs == len(found) == 36


def test_layers_are_ordered_by_their_numbers(tmp_path: Path):
    """A file whose network was not the first that its process made; some count from no number."""
    arrays = made_arrays(9, WIDTHS)
    shifted = {renumbered(name, 8): x for name, x in arrays.items()}
    unnumbered = {renumbered(name, -1): x for name, x in arrays.items()}
    model = L3Net(WIDTHS)
    files = [
        str(written(tmp_path / f"{number}.h5.gz", content))
        for number, content in enumerate((arrays, shifted, unnumbered))
    ]
    first, *others = (published.read(model, file) for file in files)
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, first, other)
    assert len({published.normalisation(model, file) for file in files}) == 1


def renumbered(name: str, by: int) -> str:
    layer, part = name.split("/")
    if layer == "audio_embedding_layer":
        return name
    kind, _, number = layer.rpartition("_")
    number = int(number) + by
    return f"{kind}_{number}/{part}" if number else f"{kind}/{part}"


@pytest.mark.parametrize("suffix", [".h5", ".h5.gz"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "not weights of L3Net"),
        (b"text", "not weights of L3Net"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "not weights of L3Net"),
        (gzip.compress(b"text"), "not weights of L3Net"),
    ],
    ids=["missing", "empty", "text", "header", "compressed text"],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, reason: str, suffix: str):
    file = tmp_path / f"weights{suffix}"
    if content is not None:
        file.write_bytes(content)
    assert reason in refusal(L3Net(WIDTHS), file)


@pytest.mark.parametrize("suffix", [".h5", ".h5.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_files_that_are_cut(tmp_path: Path, suffix: str, share: float):
    file = written(tmp_path / f"weights{suffix}", made_arrays(9, WIDTHS))
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert "not weights of L3Net" in refusal(L3Net(WIDTHS), file)


def test_bytes_that_were_changed(tmp_path: Path):
    """A compressed file has a checksum; one that is not may be read, but never ends otherwise."""
    rng = np.random.default_rng(0)
    for suffix in (".h5", ".h5.gz"):
        good = written(tmp_path / f"good{suffix}", made_arrays(9, WIDTHS)).read_bytes()
        file = tmp_path / f"damaged{suffix}"
        for _ in range(40):
            content = bytearray(good)
            for place in rng.integers(0, min(len(good), 4000), 8):
                content[place] ^= int(rng.integers(1, 256))
            file.write_bytes(content)
            try:
                published.read(L3Net(WIDTHS), str(file))
            except BadInput as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conv2d_3/kernel": None}, "conv2d_3/kernel"),
        ({"batch_normalization_4/beta": None}, "batch_normalization_4/beta"),
        ({"audio_embedding_layer/kernel": None}, "audio_embedding_layer/kernel"),
        ({"conv2d_8/kernel": np.ones((3, 3, 6, 6))}, "8 layers conv2d and 9 batch_normalization"),
        ({"conv2d_2/kernel": np.ones((3, 3))}, "conv2d_2/kernel has 2 axes, not 4"),
        ({"batch_normalization_2/gamma": np.ones(2)}, "batch_normalization_2 is not of 3 channels"),
        ({"conv2d_2/bias": np.full(3, np.nan)}, "weights of layer 'conv_1_2' are not finite"),
    ],
)  # fmt: skip
def test_arrays_of_another_network(tmp_path: Path, change: dict[str, Any], reason: str):
    arrays = {n: x for n, x in (made_arrays(9, WIDTHS) | change).items() if x is not None}
    assert reason in refusal(L3Net(WIDTHS), written(tmp_path / "other.h5", arrays))


def refusal(model: L3Net, file: Path) -> str:
    with pytest.raises(BadInput) as error:
        published.read(model, str(file))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{file}: ")
    return str(error.value)


@dataclasses.dataclass(frozen=True)
class Kept(Height):
    """A task that leaves the model as it is."""

    def fitted(self, model: nn.Module, more: int = 0) -> nn.Module:
        return model


def experiment(file: Path, normalisation: tuple[float, float], **settings: Any) -> Experiment:
    mean, scale = normalisation
    frontend = WindowDecibels(mean=(mean,), scale=(scale,))
    model = L3Net(WIDTHS, **settings)
    return Experiment(model, Kept(clip_ms=1000), frontend, init_from=str(file))


def test_a_run_starts_behind_the_normalisation_of_its_weights(tmp_path: Path):
    file = written(tmp_path / "weights.h5.gz", made_arrays(9, WIDTHS))
    mean, scale = published.normalisation(L3Net(WIDTHS), str(file))  # type: ignore[misc]
    found = restore.published(experiment(file, (mean, scale)))
    jax.tree.map(np.testing.assert_array_equal, found, published.read(L3Net(WIDTHS), str(file)))
    for wrong in ((mean + 0.1 * scale, scale), (mean, 1.1 * scale)):
        other = experiment(file, wrong)
        with pytest.raises(BadInput, match=f"init_from {file}: its input has mean -2.* and scale"):
            restore.published(other)
        found = restore.published(dataclasses.replace(other, init_differs=("frontend",)))
        assert set(found["params"]) == {f"conv_{n}_{m}" for n in (1, 2, 3, 4) for m in (1, 2)}


def test_a_front_end_without_normalisation(tmp_path: Path):
    file = written(tmp_path / "weights.h5", made_arrays(9, WIDTHS))
    with pytest.raises(BadInput, match="its input has mean"):
        published.require_normalised(L3Net(WIDTHS), str(file), DeepFilterFeatures())


@pytest.mark.parametrize(
    ("settings", "layer"),
    [({"projection": 4}, "projection"), ({"signed": True}, "conv_4_2")],
    ids=str,
)
def test_layers_that_the_file_has_not(tmp_path: Path, settings: dict[str, Any], layer: str):
    file = written(tmp_path / "weights.h5", made_arrays(9, WIDTHS))
    needed = published.normalisation(L3Net(WIDTHS), str(file))
    assert needed is not None
    made = experiment(file, needed, **settings)
    with pytest.raises(BadInput, match=f"layer '{layer}' is .* in the model"):
        restore.published(made)
    found = restore.published(dataclasses.replace(made, init_differs=("model",)))
    same = published.read(L3Net(WIDTHS), str(file))["params"]["conv_3_1"]
    jax.tree.map(np.testing.assert_array_equal, found["params"]["conv_3_1"], same)
    assert layer in found["params"]
