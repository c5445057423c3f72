"""aqtaudio embed, join: sound files to vectors by a run; a head and its encoder as one."""

import argparse
from pathlib import Path
from typing import Any

from aqtaudio.commands import sound_files
from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import Verbs, add_json, add_runtime, require_there
from aqtaudio.commands.progress import Progress
from aqtaudio.errors import BadInput


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_embed(verbs)
    _add_join(verbs)


def _add_embed(verbs: Verbs) -> None:
    command = verbs.add("embed", embed, "sound files to vectors, by an embedding run")
    command.add_argument("path", type=Path, metavar="RUN")
    told = "files or folders; -: standard input"
    command.add_argument("sources", type=Path, nargs="+", metavar="IN", help=told)
    command.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    sound_files.add_raw(command)
    add_runtime(command)
    add_json(command)


def embed(options: argparse.Namespace) -> int:
    """Writes an .npz: of every file its vectors [m, D] and when each is known."""
    require_there(options.path)
    for source in options.sources:
        if str(source) != "-" and not source.exists():
            raise BadInput(f"{source}: no such file or folder")
    raw = sound_files.raw_of(options)
    if options.out.suffix != ".npz":
        raise BadInput(f"--out {options.out}; allowed: a file that ends in .npz")
    from aqtaudio.files import require_place, write_arrays

    require_place(options.out)
    import numpy as np

    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.embedding import embed as embedding
    from aqtaudio.tasks.embedding.task import Embedding

    run = Run(options.path)
    Embedding.of(run.experiment.task, run.path)
    setup = run.experiment.setup
    files = embedding.sounds_in(options.sources)
    vectors: dict[str, np.ndarray] = {}
    progress = Progress("files")
    for name, file in zip(embedding.names_of(files), files, strict=True):
        samples = embedding.load(file, setup, raw)
        with network(run, options.runtime) as opened:
            vectors[name] = embedding.of_recording(opened, samples, setup)
        if len(files) > 1:
            progress(len(vectors), len(files))
    write_arrays(options.out, embedding.written(vectors, setup))
    value = {
        "out": str(options.out),
        "files": {name: len(found) for name, found in vectors.items()},
        "dimensions": next(iter(vectors.values())).shape[1],
        "runtime": options.runtime,
    }

    def show(value: dict[str, Any]) -> None:
        counts = value["files"]
        files = f"{len(counts)} file{'' if len(counts) == 1 else 's'}"
        print(
            f"{value['out']}: {sum(counts.values())} vectors of {value['dimensions']} values, of "
            f"{files} ({value['runtime']})"
        )

    answer(value, options.json, show)
    return 0


def _add_join(verbs: Verbs) -> None:
    command = verbs.add("join", join, "a head and the encoder it was trained on, as one artifact")
    command.add_argument("path", type=Path, metavar="HEAD", help="a run behind an encoder")
    command.add_argument("--out", type=Path, required=True)


def join(options: argparse.Namespace) -> int:
    """Writes an artifact of one program."""
    require_there(options.path)
    from aqtaudio.runs.join import join
    from aqtaudio.runs.run import Run

    print(join(Run(options.path), options.out).path)
    return 0
