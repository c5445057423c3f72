"""DeepFilterNet3 against its published weights and reference activations."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.tasks.enhancement.task import Enhancement
from aqtaudio.training.restore import published
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import Signal, start

pytestmark = pytest.mark.optimized(False)

UNUSED = 257
"""Parameters that no output depends on, counted by the authors."""
FOLDED = DeepFilterNet3(norm=False)

# The authors' count, and what changes make of it.
COUNTS = {
    "published": ({}, 2_135_484),
    "concat": ({"concat": True}, 2_143_676),
    "channels": ({"channels": 96}, 2_269_916),
    "gain_units": ({"gain_units": 128}, 1_535_932),
    "upsampling": ({"tied_upsampling": False}, 2_135_868),
    "all": (
        {"concat": True, "channels": 96, "gain_units": 128, "tied_upsampling": False},
        1_679_132,
    ),
}

# Reference array: the module whose output it is, and how far that may be from it.
ACTIVATIONS = {
    "e0": ("encoder/level_0", 1e-4),
    "e1": ("encoder/level_1_point", 1e-4),
    "e2": ("encoder/level_2_point", 2e-4),
    "e3": ("encoder/level_3_point", 5e-4),
    "c0": ("encoder/spectrum_0_point", 1e-4),
    "c1": ("encoder/spectrum_1_point", 1e-4),
    "cemb": ("encoder/spectrum_2", 1e-4),
    "enc_gru_in": ("encoder/linear_in", 1e-4),
    "enc_gru_out": ("encoder/gru_1", 1e-4),
    "emb": ("encoder/linear_out", 1e-4),
    "erbdec_gru_in": ("gain_decoder/linear_in", 1e-4),
    "erbdec_gru_out": ("gain_decoder/gru_2", 2e-4),
    "erbdec_emb": ("gain_decoder/linear_out", 1e-4),
    "d3": ("gain_decoder/up_3_point", 2e-4),
    "d2": ("gain_decoder/up_2_point", 2e-4),
    "d1": ("gain_decoder/up_1_point", 2e-4),
    "mask": ("gain_decoder/gain_share", 1e-4),
    "dfdec_gru_in": ("filter_decoder/linear_in", 1e-4),
    "dfdec_gru_out": ("filter_decoder/gru_2", 1e-4),
    "df_skip": ("filter_decoder/skip", 1e-4),
    "df_out": ("filter_decoder/bounded", 1e-4),
}
Arrays = dict[str, np.ndarray]


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_the_published_ones(name: str):
    settings, expected = COUNTS[name]
    model = DeepFilterNet3(**settings)
    signal = start(jnp.zeros((1, 4, model.inputs)), Floating())
    out, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), signal)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == expected - UNUSED
    assert out.values.shape == (1, 4, model.outputs)


@pytest.mark.parametrize("settings", [{"bands": 6}, {"filtered_bins": 7}])
def test_what_cannot_be_halved_is_refused(settings: dict[str, int]):
    model = DeepFilterNet3(**settings)
    signal = start(jnp.zeros((1, 4, model.inputs)), Floating())
    with pytest.raises(ValueError, match="multiple of 4"):
        jax.eval_shape(model.init, jax.random.key(0), signal)


def test_features_of_another_front_end_are_refused():
    signal = start(jnp.zeros((1, 4, FOLDED.inputs + 1)), Floating())
    with pytest.raises(ValueError, match="225 features; 32 bands"):
        jax.eval_shape(FOLDED.init, jax.random.key(0), signal)


@pytest.fixture(scope="module")
def golden(shared_folder) -> Path:
    folder = shared_folder / "golden" / "deepfilternet3"
    if not folder.is_dir():
        pytest.skip("no reference activations")
    return folder


def load(*files: Path) -> Arrays:
    return {name: x for file in files for name, x in np.load(file, allow_pickle=False).items()}


@pytest.fixture(scope="module")
def weights(golden: Path) -> Arrays:
    return load(golden / "weights_folded.npz")


@pytest.fixture(scope="module")
def reference(golden: Path) -> Arrays:
    return load(golden / "reference_synth.npz", golden / "reference_synth_layers.npz")


@pytest.fixture(scope="module")
def features(reference: Arrays) -> np.ndarray:
    """The reference's, as the network sees them: two frames late, [1, T, F]."""
    levels, spectrum = reference["feat_erb"], reference["feat_spec"]
    both = np.concatenate([levels, spectrum.reshape(len(levels), -1)], -1)
    return np.pad(both[2:], ((0, 2), (0, 0)))[None]


def run(model: nn.Module, variables: dict[str, Any], features: np.ndarray) -> tuple:
    """Outputs [T, ...], and what every module puts out, by path."""

    @jax.jit
    def apply(variables, x):
        kept = {"capture_intermediates": True, "mutable": ["intermediates"]}
        out, seen = model.apply(variables, start(x, Floating()), **kept)
        return out.real(), seen["intermediates"]

    with jax.default_matmul_precision("highest"):
        out, seen = apply(variables, features)
    return np.asarray(out[0]), dict(outputs_of(seen))


def outputs_of(seen: dict[str, Any], path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, value in seen.items():
        if name != "__call__":
            yield from outputs_of(value, f"{path}/{name}" if path else name)
        elif isinstance(value[0], Signal):
            yield path, np.asarray(value[0].values[0])


@pytest.fixture(scope="module")
def computed(weights: Arrays, features: np.ndarray) -> tuple[np.ndarray, Arrays]:
    return run(FOLDED, FOLDED.with_published(weights), features)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, computed: tuple[np.ndarray, Arrays], reference: Arrays):
    """In the order of the layers: the first that fails is the faulty one."""
    module, limit = ACTIVATIONS[name]
    found, expected = computed[1][module], reference[name]
    if expected.ndim == 3:  # [C, T, F]
        expected = expected.transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=limit, rtol=0)


def test_results(computed: tuple[np.ndarray, Arrays], reference: Arrays):
    """Where each result lies in the one output."""
    out = computed[0]
    filters = reference["df_coefs"].transpose(1, 2, 0, 3).reshape(len(out), -1)
    np.testing.assert_allclose(out[:, :32], reference["mask"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(out[:, 32:-1], filters, atol=1e-4, rtol=0)
    np.testing.assert_allclose(50 * out[:, -1] - 15, reference["lsnr"], atol=1e-3, rtol=0)


def test_the_pathway_never_fires(
    computed: tuple[np.ndarray, Arrays], weights: Arrays, reference: Arrays
):
    """Its last convolution once more, without relu."""
    point = FOLDED.with_published(weights)["params"]["filter_decoder"]["path_point"]
    found = computed[1]["filter_decoder/path_depth"] @ point["kernel"][0, 0] + point["bias"]
    expected = reference["df_convp_prerelu"].transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert found.max() < 0
    assert not computed[1]["filter_decoder/path_point"].any()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "variant", [{"tied_upsampling": False}, {"norm": True}, {"pathway": False}], ids=str
)
def test_variants_give_the_same(
    variant: dict[str, bool],
    weights: Arrays,
    features: np.ndarray,
    computed: tuple[np.ndarray, Arrays],
):
    model = FOLDED.clone(**variant)
    found, _ = run(model, model.with_published(weights), features)
    np.testing.assert_allclose(found, computed[0], atol=2e-5, rtol=0)


class Counted(Mapping):
    """Arrays, and how often each was taken."""

    def __init__(self, arrays: Arrays):
        self._arrays, self.taken = arrays, Counter()

    def __getitem__(self, name: str) -> np.ndarray:
        self.taken[name] += 1
        return self._arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def test_every_array_is_used_once(weights: Arrays):
    counted = Counted(weights)
    variables = FOLDED.with_published(counted)
    constants = {"erb_fb", "mask.erb_inv_fb"}
    unused = {name for name in weights if "df_fc_a" in name or "num_batches_tracked" in name}
    assert sum(weights[name].size for name in unused if "df_fc_a" in name) == UNUSED
    assert counted.taken == {name: 1 for name in set(weights) - unused - constants}
    # Folded, a norm is a bias: its gain, mean and variance have nothing to say.
    norms = sum(weights[name].size for name in weights if name.endswith("running_mean"))
    assert sum(x.size for x in jax.tree.leaves(variables)) == 2_135_484 - UNUSED - norms


EXPERIMENT = Experiment(
    model=DeepFilterNet3(norm=False, pathway=False),
    task=Enhancement(),
    frontend=DeepFilterFeatures(),
    stream_block_frames=1,
    stream_context_clips=0,
)


def experiment(file: Path, **settings: Any) -> Experiment:
    model = EXPERIMENT.model.clone(**settings)
    return dataclasses.replace(EXPERIMENT, model=model, init_from=str(file))


def test_a_run_starts_from_them(golden: Path, weights: Arrays):
    made = experiment(golden / "weights_folded.npz")
    found = published(made)
    expected = made.model.with_published(weights)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert found["batch_stats"] == {}


def altered(folder: Path, weights: Arrays, **changes: np.ndarray | None) -> Path:
    """A file with other arrays; None: without them."""
    arrays = {name: x for name, x in (weights | changes).items() if x is not None}
    np.savez(folder / "altered.npz", **arrays)
    return folder / "altered.npz"


def refusal(made: Experiment) -> str:
    with pytest.raises(BadInput) as error:
        published(made)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"init_from {made.init_from}: ")
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), (b"", "not weights of DeepFilterNet3"), (b"PK\x03\x04", "not weights"),
     (b"\x93NUMPY\x01\x00v\x00", "not weights"), (b"text", "not weights")],
    ids=["missing", "empty", "cut", "array", "text"],
)  # fmt: skip
def test_files_that_are_none(tmp_path: Path, content: bytes | None, reason: str):
    file = tmp_path / "weights.npz"
    if content is not None:
        file.write_bytes(content)
    assert reason in refusal(experiment(file))


def test_an_array_instead_of_many(tmp_path: Path):
    with open(tmp_path / "one.npz", "wb") as file:
        np.save(file, np.ones(3))
    assert "not weights of DeepFilterNet3" in refusal(experiment(tmp_path / "one.npz"))


def test_arrays_that_are_missing(tmp_path: Path, weights: Arrays):
    name = "df_dec.df_gru.gru.bias_hh_l1"
    assert name in refusal(experiment(altered(tmp_path, weights, **{name: None})))


@pytest.mark.parametrize("shape", [(256, 16), (64, 1, 1, 2), (64,), ()], ids=str)
def test_arrays_of_other_shapes(tmp_path: Path, weights: Arrays, shape: tuple[int, ...]):
    changes = {"enc.erb_conv1.0.weight": np.ones(shape, np.float32)}
    refusal(experiment(altered(tmp_path, weights, **changes)))


def test_weights_of_a_larger_model(golden: Path):
    """The message names the layer."""
    file = golden / "weights_folded.npz"
    found = refusal(experiment(file, channels=32))
    assert "layer 'encoder/" in found and "in the model" in found and "in the file" in found
    found = refusal(experiment(file, gain_layers=3))
    assert "layer 'gain_decoder/gru_3" in found and "not in the file" in found


@pytest.mark.slow
def test_layers_that_the_file_has_not_start_fresh(golden: Path):
    deeper = experiment(golden / "weights_folded.npz", gain_layers=3)
    found = published(dataclasses.replace(deeper, init_differs=("model",)))
    expected = published(experiment(golden / "weights_folded.npz"))
    decoder, theirs = (x["params"]["gain_decoder"] for x in (found, expected))
    assert set(decoder) - set(theirs) == {"gru_3"}
    jax.tree.map(np.testing.assert_array_equal, decoder["gru_2"], theirs["gru_2"])


def test_models_without_published_weights(tmp_path: Path):
    made = dataclasses.replace(experiment(tmp_path / "w.npz"), model=DSCNN())
    assert "DSCNN reads no published weights" in refusal(made)
