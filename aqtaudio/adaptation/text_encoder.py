"""What keywords are enrolled on: an encoder of phones, and the network that makes filters for it.

A run of `tasks.text_keywords`, behind its frozen encoder or joined with it; or an artifact that
keywords were enrolled into before. Such an artifact keeps all that is needed to enroll more.
"""

import dataclasses
import hashlib
import json

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from aqtaudio.data.phones import Phones
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, deployed, load_json
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.program.joined import joined as joined_programs
from aqtaudio.program.program import Edge, Program
from aqtaudio.runs.run import COMPANIONS, Run
from aqtaudio.tasks.text_keywords.ctc import classes_of
from aqtaudio.tasks.text_keywords.filters import quantized
from aqtaudio.tasks.text_keywords.queries import MOST_PHONES, Queries
from aqtaudio.tasks.text_keywords.task import TextKeywords

CONFIG = "text_encoder.json"
"""Of an artifact with keywords: the settings of the encoder that it begins with."""
ENROLLED = "enrolled.json"
"""Of such an artifact: its keywords, and how many operations are the encoder's."""
LEAST_PHONES = 3


@dataclasses.dataclass(frozen=True)
class TextEncoder:
    """What a device runs before filters, and what makes filters.

    Attributes:
      experiment: a text-keyword run's, from samples on.
      program: from samples' features to what filters read.
      weights: of the network that makes filters, by name.
    """

    experiment: Experiment
    program: Program
    weights: dict[str, np.ndarray]

    @property
    def task(self) -> TextKeywords:
        """Of the run."""
        return TextKeywords.of(self.experiment.task)

    @property
    def output(self) -> Edge:
        """Which filters read."""
        return self.program.edges[self.program.outputs[0]]

    @property
    def fingerprint(self) -> bytes:
        """Of front end and program."""
        told = hashlib.sha256(self.experiment.frontend.fingerprint().encode())
        for op in self.program.operations:
            told.update(f"{op.kind} {op.inputs} {op.output} {op.attributes}".encode())
            for name in sorted(op.constants):
                told.update(np.ascontiguousarray(op.constants[name]).tobytes())
        return told.digest()

    def filters(self, phones: list[Phones]) -> np.ndarray:
        """Of phrases, on the device's grids: float32 [n, taps, C].

        Raises BadInput for a phrase that is too short or too long.
        """
        for said in phones:
            if not LEAST_PHONES <= len(said) <= MOST_PHONES:
                raise BadInput(
                    f"{' '.join(said)} has {len(said)} phones; allowed: {LEAST_PHONES} to "
                    f"{MOST_PHONES}"
                )
        asked = Queries.of([classes_of(said) for said in phones])
        params = unflatten_dict({k: jnp.float32(v) for k, v in self.weights.items()}, sep="/")
        made = self.task.filter_network.apply({"params": params}, asked.phones, asked.counts)
        return np.asarray(quantized(jnp.asarray(made), self.task.filters))


def text_encoder(run: Run) -> TextEncoder:
    """Of a run or an artifact. Raises BadInput for one of another kind."""
    file = run.path / CONFIG
    experiment = load_json(file) if file.exists() else run.experiment
    if not isinstance(experiment.task, TextKeywords):
        raise BadInput(
            f"{run.path}: a run of {type(experiment.task).__name__.lower()}; allowed: a run of "
            "textkeywords, or an artifact of `aqtaudio enroll`"
        )
    try:
        with np.load(run.path / COMPANIONS) as kept:
            weights = {name: kept[name] for name in kept.files}
    except (OSError, ValueError) as error:
        raise BadInput(f"{run.path}: no network of filters ({error})") from None
    program = run.program
    if file.exists():
        program = _beginning(program, json.loads((run.path / ENROLLED).read_text())["operations"])
    elif isinstance(experiment.frontend, Embedded):
        program = joined_programs(experiment.frontend.encoder.executor.program, program)
        experiment = deployed(experiment)
    return TextEncoder(experiment, program, weights)


def _beginning(program: Program, operations: int) -> Program:
    """Without the filters: the first so many operations."""
    first = program.operations[:operations]
    names = {name for op in first for name in (*op.inputs, op.output)}
    edges = {name: edge for name, edge in program.edges.items() if name in names}
    return Program(edges, first, program.inputs, (first[-1].output,))
