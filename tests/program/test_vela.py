"""Laws of Vela's estimate."""

import numpy as np
import pytest
from exports import model

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer, vela
from aqtaudio.program.micro import Micro

needs_vela = pytest.mark.skipif(not vela.is_installed(), reason="ethos-u-vela is not installed")


@needs_vela
def test_larger_accelerators_take_fewer_cycles():
    found = [vela.cycles(model("int8"), f"ethos-u55-{macs}") for macs in (32, 128, 256)]
    assert found == sorted(found, reverse=True) and len(set(found)) == 3
    # A multiply-accumulate per lane and cycle is the most that there is.
    assert found[1] > 2_656_768 / 128


@needs_vela
def test_four_bit_weights_are_counted_as_eight():
    found = vela.cycles(model("int4"))
    assert found == pytest.approx(vela.cycles(model("int8")), rel=0.1)
    assert found == vela.cycles(vela.in_eight_bits(model("int4")))


def test_in_eight_bits_the_integers_are_the_same():
    wide = vela.in_eight_bits(model("int4"))
    tensors = [t for graph in flatbuffer.read(wide).subgraphs for t in graph.tensors]
    assert "INT4" not in {flatbuffer.type_name(tensor) for tensor in tensors}
    outputs = []
    for blob in (model("int4"), wide):
        with Micro(blob) as micro:
            details = micro.input_details[0]
            rng = np.random.default_rng(0)
            codes = rng.integers(-128, 128, (20, *details.shape[1:]), details.dtype)
            outputs.append(micro.invoke(codes)[0])
    np.testing.assert_array_equal(*outputs)


@needs_vela
def test_what_vela_leaves_to_the_cpu_or_cannot_read_has_no_cycles():
    parsed = flatbuffer.read(model("int8"))
    for graph in parsed.subgraphs:  # no accelerator computes in FLOAT32
        for tensor in graph.tensors:
            tensor.type, tensor.quantization = flatbuffer.schema.TensorType.FLOAT32, None
    assert vela.cycles(flatbuffer.write(parsed)) is None


def test_without_vela_there_are_none(monkeypatch):
    monkeypatch.setattr(vela, "is_installed", lambda: False)
    assert vela.cycles(b"") is None


def test_unknown_accelerators_are_refused():
    with pytest.raises(BadInput, match="allowed: ethos-u55-32"):
        vela.cycles(b"", "ethos-u54-128")
