"""A head and the encoder that it was trained on, as one artifact."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aqtaudio import experiment as experiments
from aqtaudio.errors import BadInput
from aqtaudio.experiment import save_json
from aqtaudio.files import new_folder, write
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.program import program as programs
from aqtaudio.program.joined import joined
from aqtaudio.runs.run import COMPANIONS, DETECTOR, EVALUATION, ROW, Run


def join(head: Run, out: Path) -> Run:
    """Writes an artifact of one program, from samples' features to the head's answers.

    Its settings are the head's, with the encoder's front end and blocks of as many of its frames.
    It runs as any other but in runtimes "float" and "quantized", which need checkpoints.

    Raises BadInput where the run is no stream behind an encoder, or `out` holds something.
    """
    import shutil

    from aqtaudio.program.tflite import to_tflite

    experiment, frontend = head.experiment, head.experiment.frontend
    if not isinstance(frontend, Embedded):
        raise BadInput(
            f"{head.path}: its front end is {type(frontend).__name__}; allowed: a run behind "
            "Embedded, an encoder"
        )
    if experiment.stream_block_frames != 1:
        raise BadInput(
            f"{head.path}: its stream_block_frames is {experiment.stream_block_frames}; allowed: "
            "1, an answer for each of the encoder's vectors"
        )
    program = joined(frontend.encoder.executor.program, head.program)
    with new_folder(out) as folder:
        save_json(experiments.deployed(experiment), folder / "config.json")
        programs.save(program, folder / "program.npz")
        write(folder / "model.tflite", to_tflite(program))
        for name in (COMPANIONS, EVALUATION, DETECTOR, ROW):
            if (head.path / name).exists():
                shutil.copy(head.path / name, folder / name)
    return Run(out)


@contextlib.contextmanager
def deployed(run: Run) -> Iterator[Run]:
    """What a device runs of a finished run: of a quantized head behind an encoder both, joined in a
    folder that goes when the context ends; of any other itself.
    """
    experiment = run.experiment
    is_head = isinstance(experiment.frontend, Embedded) and experiment.stream_block_frames == 1
    if not is_head or experiment.recipe.mode == "float":
        yield run
        return
    with tempfile.TemporaryDirectory() as folder:
        yield join(run, Path(folder) / run.path.name)
