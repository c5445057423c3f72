"""Parameters by layer path: what functions that change a model's parameters work on."""

from typing import Any

Layers = dict[str, dict[str, Any]]


def flatten(collection: dict[str, Any], prefix: str = "") -> Layers:
    """{"block/conv": {"kernel": ...}} of a nested collection; a layer holds no other layer."""
    layers: Layers = {}
    for name, child in collection.items():
        if any(isinstance(value, dict) for value in child.values()):
            layers |= flatten(child, f"{prefix}{name}/")
        else:
            layers[prefix + name] = child
    return layers


def unflatten(layers: Layers) -> dict[str, Any]:
    """The nested collection that `flatten` came from."""
    collection: dict[str, Any] = {}
    for path, layer in layers.items():
        *parents, name = path.split("/")
        level = collection
        for parent in parents:
            level = level.setdefault(parent, {})
        level[name] = layer
    return collection
