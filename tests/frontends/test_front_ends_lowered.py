"""Front ends become GPU programs on a machine without a GPU; some say that they need float64."""

import functools

import jax
import pytest
from lowered import largest_double, like, lowered, products, require_of_gpus, rounded

from aqtaudio.frontends.decibels import RunningDecibels
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.frontends.device import DeviceFeatures
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.named import NAMED
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.frontends.wave import WaveBlocks

pytestmark = [pytest.mark.optimized("slow"), pytest.mark.usefixtures("on_gpu")]

CLIPS, FRAMES = 3, 7  # shapes of no other test: see `on_gpu`
MORE = {
    "log-mel-running": LogMel(level="running"),
    "micro-no-gain": MicroFrontend(pcan=False),
    "running-decibels": RunningDecibels(),
    "deep-filter": DeepFilterFeatures(),
    "deep-filter-invariant": DeepFilterFeatures(level_invariant=True, fall_db=10.0),
    "wave": WaveBlocks(peak=0.5),
    "device": DeviceFeatures(bands=40, mean=(0.0,), scale=(1.0,)),
}
FRONT_ENDS = NAMED | MORE
# What is exact, or does not depend on the length of a block, because it is float64: what it is.
IN_DOUBLES = {
    "micro": "filter sums of whole numbers below 2^53",
    "vendor": "the same, and stretched ranges",
    "decibels": "transforms",
    "running": "transforms",
    "deep": "everything, the state after a frame rounded to float32",
}


@functools.cache
def operations_of(name: str) -> list:
    frontend = FRONT_ENDS[name]
    samples = frontend.window_samples + (FRAMES - 1) * frontend.hop_samples
    state = jax.eval_shape(lambda: frontend.initial_state(CLIPS))
    return lowered(frontend.push, like((CLIPS, samples)), state)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_gpu_can_compute_every_front_end(name):
    require_of_gpus(operations_of(name))


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_only_front_ends_that_say_so_compute_in_float64(name):
    assert (largest_double(operations_of(name)) > 1) == (name.split("-")[0] in IN_DOUBLES)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_no_front_end_lets_a_gpu_round_what_is_multiplied(name):
    assert not rounded(operations_of(name))
    if name in ("log-mel", "mfcc"):
        assert products(operations_of(name), "f32")


def test_windows_are_transformed_all_at_once():
    loops = [op for op in operations_of("micro-c") if op.name == "while"]
    assert len(loops) == 1  # along time: the noise estimate


@pytest.mark.slow
def test_a_gpu_can_compute_an_encoder_as_a_front_end():
    frontend = Embedded(run="results/embeddings/artifacts/2efcef84274d")
    samples = frontend.window_samples + frontend.hop_samples
    operations = lowered(frontend.push, like((CLIPS, samples)), frontend.initial_state(CLIPS))
    require_of_gpus(operations)
    assert products(operations, "i8")
