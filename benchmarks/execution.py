"""Execution: integer batches in JAX against the TFLite Micro and LiteRT interpreters, per clip.

    python benchmarks/execution.py RUN [--clips 1024] [--rounds 5]

All compute the same run on the same random codes, alternating in one process, each in the
arithmetic of the interpreter that it is compared with; TFLite Micro's time includes handing a batch
to its child process (a few microseconds per clip).
"""

import argparse
from pathlib import Path

import numpy as np
from measuring import alternating

from aqtaudio.program.execute import Executor
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import Micro
from aqtaudio.runs.parity import random_codes
from aqtaudio.runs.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--clips", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    run = Run(options.run)
    codes = random_codes(run.program, options.clips, seed=0)
    executors = {
        "JAX, float32 carriers": Executor(run.program, integer=False),
        "JAX, int8 dots": Executor(run.program),
        "JAX, LiteRT's arithmetic": Executor(run.program, target="litert"),
    }
    with Micro(run.model) as micro, LiteRT(run.model) as litert:
        runs = {
            "TFLite Micro": lambda: micro.invoke(codes)[0],
            "LiteRT (XNNPACK)": lambda: litert.invoke(codes)[0],
            **{name: lambda e=executor: e(codes) for name, executor in executors.items()},
        }
        outputs = {name: function() for name, function in runs.items()}
        turns = alternating(runs, options.rounds)
    seconds = {name: both[:, 0] for name, both in turns.items()}
    for name, times in seconds.items():
        ratio = np.median(seconds["TFLite Micro"] / times)
        other = "LiteRT (XNNPACK)" if "LiteRT" in name else "TFLite Micro"
        differ = np.count_nonzero(outputs[name] != outputs[other])
        print(
            f"{name:24} {1e3 * np.median(times) / options.clips:8.3f} ms per clip   "
            f"{ratio:6.1f} x TFLite Micro's speed   {differ} codes differ from {other}"
        )


if __name__ == "__main__":
    main()
