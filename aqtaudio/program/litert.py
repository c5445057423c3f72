"""LiteRT (the TFLite of phones and desktops) on this machine, in a child process.

Its rounding differs from TFLite Micro's by one step in a few per cent of values; which way depends
on the resolver.
"""

from typing import Literal

from aqtaudio.program.child import DEFAULT_TIMEOUT_S
from aqtaudio.program.micro import Interpreter

Resolver = Literal["AUTO", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"]


class LiteRT(Interpreter):
    """LiteRT: AUTO is XNNPACK where it can, BUILTIN_REF the reference kernels."""

    runtime = "litert"

    def __init__(
        self, model: bytes, resolver: Resolver = "AUTO", timeout_s: float = DEFAULT_TIMEOUT_S
    ):
        super().__init__(model, resolver, timeout_s)
