"""A filter that is trained finds what the text's did not, on a device's grid."""

import dataclasses

import numpy as np
import pytest
from test_enroll import ENCODER

from aqtaudio.adaptation import enroll_page
from aqtaudio.adaptation import enroll_refining as refining
from aqtaudio.adaptation.enroll_examples import Examples
from aqtaudio.adaptation.enroll_program import Answer, Line, bank_program
from aqtaudio.adaptation.enroll_scaling import Hours
from aqtaudio.adaptation.negative_codes import NegativeCodes
from aqtaudio.adaptation.text_encoder import TextEncoder
from aqtaudio.program.program import Edge, Program
from aqtaudio.tasks.text_keywords import ctc
from aqtaudio.tasks.text_keywords.filters import FILTER_BITS, quantized

pytestmark = pytest.mark.optimized(False)
CHANNELS, FRAMES = ENCODER.task.channels, 60


def codes(rng: np.random.Generator, clips: int, frames: int = FRAMES) -> np.ndarray:
    return rng.integers(-8, 8, (clips, frames, CHANNELS)).astype(np.int8)


@pytest.fixture(scope="module")
def made() -> tuple[refining.Refined, Answer]:
    """Of a phrase that is two patterns, one after the other; the filter begins with neither."""
    rng = np.random.default_rng(0)
    own = codes(rng, 80)
    own[:, 30:34, 41] = own[:, 36:40, 42] = 100
    found = Examples(own, np.ones(80, bool), np.tile([True, True, True, False], 20))
    other = [codes(rng, 1, 8000)[0] for _ in range(2)]
    halves = [NegativeCodes(("speech",), (one,), (np.asarray([320.0]),), (("",),)) for one in other]
    edge = Edge("output", (1, CHANNELS), 0.05, 0)
    encoder = TextEncoder(ENCODER, Program({"output": edge}, (), (), ("output",)), {})
    shape = ENCODER.task.filters
    taps = np.asarray(quantized(0.1 * rng.normal(size=(1, shape.total, CHANNELS)), shape))[0]
    answer = Answer(taps, (3, 5, 9), Line(1.0, -8.0), Line(0.1, 0.0))
    hours = Hours(halves[0], encoder, np.zeros(ctc.CLASSES, np.float32), 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refining, "STEPS", 80)
        return refining.refined(answer, "x", found, hours, halves[1]), answer


def test_it_finds_more(made):
    assert made[0].before.found < 0.8 and made[0].after.found > 0.99


def test_of_no_neighbours_nothing_is_said(made):
    assert made[0].after.wrong is None
    assert enroll_page._rates(made[0].after._asdict()).endswith("(and no neighbours were there)")
    told = refining.Rates(0.5, 0.25)._asdict()
    assert enroll_page._rates(told) == "50 % (and rings on 25 % of neighbours)"


def test_it_is_on_the_grid(made):
    taps, shape = made[0].taps, ENCODER.task.filters
    parts = taps.reshape(shape.segments, -1)
    codes = parts / np.max(np.abs(parts), 1, keepdims=True) * (2 ** (FILTER_BITS - 1) - 1)
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)
    assert np.any(taps != made[1].taps)


def test_halves_are_of_whole_recordings():
    rng = np.random.default_rng(1)
    sound = NegativeCodes(
        ("speech",), (codes(rng, 1, 100)[0],), (np.asarray([1.0, 3.0, 4.0]),), (("a", "b", "c"),)
    )
    first, second = sound.half(0), sound.half(1)
    assert first.texts == (("a", "c"),) and second.texts == (("b",),)
    np.testing.assert_array_equal(second.codes[0], sound.codes[0][25:75])
    parts = [sound.codes[0][:25], sound.codes[0][75:]]
    np.testing.assert_array_equal(first.codes[0], np.concatenate(parts))
    assert first.hours + second.hours == pytest.approx(sound.hours)


def test_a_worse_filter_is_not_taken(made):
    """Training that hears nothing true leaves the text's filter."""
    _, answer = made
    rng = np.random.default_rng(2)
    clips = codes(rng, 16)
    found = Examples(clips, np.ones(16, bool), np.arange(16) % 2 == 0)
    other = NegativeCodes(("speech",), (codes(rng, 1, 2000)[0],), (np.asarray([80.0]),), (("",),))
    edge = Edge("output", (1, CHANNELS), 0.05, 0)
    encoder = TextEncoder(ENCODER, Program({"output": edge}, (), (), ("output",)), {})
    hours = Hours(other, encoder, np.zeros(ctc.CLASSES, np.float32), 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refining, "STEPS", 2)
        patch.setattr(refining, "LEARNING_RATE", 0.0)
        same = refining.refined(dataclasses.replace(answer), "x", found, hours, other)
    assert same.before == same.after


def test_a_device_has_the_taps(made):
    """To the last code: what training and scaling heard is what the program multiplies with."""
    found, answer = made
    program = bank_program(
        [dataclasses.replace(answer, taps=found.taps, filter=Line(0.3, 0.0))],
        ENCODER.task.filters, 0.05, np.zeros(ctc.CLASSES, np.float32),
    )  # fmt: skip
    (parts,) = (op for op in program.operations if (op.kind, op.output) == ("conv2d", "parts"))
    real = parts.constants["weights"] * parts.constants["weight_scale"]
    expected = 0.3 * np.moveaxis(found.taps.reshape(*real.shape[::-1][:1], *real.shape[:3]), 0, -1)
    np.testing.assert_allclose(real, expected, rtol=1e-5, atol=1e-7)
