"""The noise inside of Piper's voices as inputs, so that what they say can be said again.

A voice draws noise twice: for the phones' lengths and for the sound. onnxruntime's operator for it
keeps a state of its own through all calls; here its place is taken by a reader of an input.
"""

from typing import Any

import numpy as np

from aqtaudio.errors import BadInput

LENGTH = 1 << 18  # numbers per input; a voice that needs more reads them again from the start


def draw(rng: np.random.Generator) -> np.ndarray:
    """The noise of one call, float32 [LENGTH]."""
    return rng.standard_normal(LENGTH, np.float32)


def as_inputs(content: bytes, said: object) -> tuple[bytes, list[str]]:
    """A model whose random operators read inputs, and the names of these.

    Args:
      content: of an ONNX file.
      said: what the model is called in messages.

    Raises:
      BadInput: onnx is not installed, this is no ONNX model, or it has random operators other than
        RandomNormalLike with mean 0 and scale 1.
    """
    try:
        import onnx
    except ImportError as error:
        raise BadInput("onnx is not installed: pip install aqtaudio[voices]") from error
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # of protobuf, which is not ours to name
        raise BadInput(f"{said} is no ONNX model") from error
    graph, names, nodes = model.graph, [], []
    for node in graph.node:
        if not node.op_type.startswith(("Random", "Bernoulli", "Multinomial")):
            nodes.append(node)
            continue
        _require_plain(onnx, node, said)
        name = f"noise_{len(names)}"
        names.append(name)
        graph.input.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [LENGTH])
        )
        nodes += _reader(onnx, name, node.input[0], node.output[0])
    del graph.node[:]
    graph.node.extend(nodes)
    return model.SerializeToString(), names


def _require_plain(onnx: Any, node: Any, said: object) -> None:
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    plain = values.get("mean", 0.0) == 0.0 and values.get("scale", 1.0) == 1.0
    if node.op_type != "RandomNormalLike" or not plain:
        raise BadInput(
            f"{said} draws by {node.op_type}; allowed: RandomNormalLike with mean 0 and scale 1"
        )


def _reader(onnx: Any, noise: str, like: str, out: str) -> list[Any]:
    """Operators that give an input's numbers the shape of another tensor, round and round."""
    helper, integer = onnx.helper, onnx.TensorProto.INT64

    def constant(name: str, value: int) -> Any:
        tensor = helper.make_tensor(f"{noise}_{name}", integer, [], [value])
        return helper.make_node("Constant", [], [f"{noise}_{name}"], value=tensor)

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs, [output], **attributes)

    return [
        *(constant(*pair) for pair in (("zero", 0), ("one", 1), ("length", LENGTH))),
        node("Shape", [like], f"{noise}_shape"),
        node("ReduceProd", [f"{noise}_shape"], f"{noise}_size", keepdims=0),
        node("Range", [f"{noise}_{n}" for n in ("zero", "size", "one")], f"{noise}_range"),
        node("Mod", [f"{noise}_range", f"{noise}_length"], f"{noise}_places"),
        node("Gather", [noise, f"{noise}_places"], f"{noise}_flat"),
        node("Reshape", [f"{noise}_flat", f"{noise}_shape"], out),
    ]
