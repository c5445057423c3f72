"""The float32 file that quantized ones are compared with."""

import jax
import numpy as np
import pytest

from aqtaudio import float_model
from aqtaudio.compression import low_rank
from aqtaudio.compression.recipe import Recipe, Rule
from aqtaudio.experiment import Experiment
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.program.check import check
from aqtaudio.program.cost import cost
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.tflite import to_float_tflite
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

EXPERIMENT = Experiment(model=DSCNN(width=8, blocks=2), recipe=Recipe("float"))


@pytest.fixture(scope="module")
def trained():
    """Variables whose batch statistics are not those of initialization."""
    model = EXPERIMENT.built_model()
    features = jax.random.normal(jax.random.key(0), (32, *EXPERIMENT.feature_shape)) * 2 + 0.5
    variables = model.init(jax.random.key(1), start(features, Floating()))
    for _ in range(3):
        _, updated = model.apply(variables, start(features, Floating()), mutable=["batch_stats"])
        variables = {**variables, **updated}
    return model, variables, features


@pytest.mark.parametrize("decomposed", [False, True])
def test_the_file_computes_the_float_model(trained, decomposed):
    model, variables, features = trained
    if decomposed:
        rules = (Rule("pointwise_.*", svd_penalty=0.0), Rule())
        params = low_rank.decompose(variables["params"], Recipe("float", rules))
        variables = {**variables, "params": params}
    blob = to_float_tflite(float_model.structure(EXPERIMENT), float_model.weights(variables))
    with LiteRT(blob) as interpreter:
        codes = np.asarray(features)[..., None]
        found = interpreter.invoke(codes)[0]
    wanted = model.apply(variables, start(features, Floating())).real()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_it_is_refused_unless_float_is_allowed_and_counts_four_bytes_a_parameter(trained):
    _, variables, _ = trained
    structure = float_model.structure(EXPERIMENT)
    blob = to_float_tflite(structure, float_model.weights(variables))
    assert not check(blob).micro_compatible
    allowed = check(blob, allow_float=True)
    assert allowed.micro_compatible and (allowed.arena_bytes or 0) > 0
    totals = cost(structure).to_json()
    assert float_model.in_float32(totals)["weight_bytes"] == 4 * totals["params"]
    assert float_model.in_float32(totals)["bitops"] == totals["macs"] * 1024
