"""What a model would cost on an Arm Ethos-U, as Vela estimates it, where Vela is installed.

Vela (https://pypi.org/project/ethos-u-vela) compiles a TFLite file and counts cycles. Arm calls the
numbers estimates. They are of Vela's built-in configuration of the accelerator: for Ethos-U55
`Ethos_U55_High_End_Embedded` with shared SRAM, 500 MHz.
"""

import csv
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer

ACCELERATORS = (
    *(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)),
    *(f"ethos-u65-{macs}" for macs in (256, 512)),
    *(f"ethos-u85-{macs}" for macs in (128, 256, 512, 1024, 2048)),
)
TIMEOUT_S = 300.0


def is_installed() -> bool:
    """Whether there is a Vela."""
    return importlib.util.find_spec("ethosu") is not None


def cycles(model: bytes, accelerator: str = "ethos-u55-128") -> int | None:
    """Cycles of one inference, all of it on the accelerator.

    4-bit weights are counted as 8-bit ones: the accelerator has no others, and Vela dies of them.

    Args:
      model: contents of a TFLite file that is to be trusted.
      accelerator: one of ACCELERATORS.

    Returns:
      None without Vela, and where it leaves operators to the CPU, which it has no cycles for, or
      fails.
    """
    if accelerator not in ACCELERATORS:
        allowed = ", ".join(ACCELERATORS)
        raise BadInput(f"accelerator {accelerator!r} is unknown; allowed: {allowed}")
    if not is_installed():
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(in_eight_bits(model))
        arguments = ["model.tflite", "--accelerator-config", accelerator, "--output-dir", "out"]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "ethosu.vela", *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return None
        on_cpu = re.search(r"CPU operators = (\d+)", done.stdout)
        if done.returncode or on_cpu is None or int(on_cpu[1]):
            return None
        summaries = list(folder.glob("out/*_summary_*.csv"))
        if len(summaries) != 1:
            return None
        with summaries[0].open(newline="") as file:
            return round(float(next(csv.DictReader(file))["cycles_total"]))


def in_eight_bits(model: bytes) -> bytes:
    """The file with 4-bit constants unpacked to int8: the same codes, the same integers."""
    parsed = flatbuffer.read(model)
    for graph in parsed.subgraphs:
        for tensor in graph.tensors:
            if flatbuffer.type_name(tensor) == "INT4":
                codes = flatbuffer.constant(parsed, tensor)
                tensor.buffer = len(parsed.buffers)
                parsed.buffers.append(flatbuffer.buffer(codes, "INT8"))
                tensor.type = flatbuffer.schema.TensorType.INT8
    return flatbuffer.write(parsed)
