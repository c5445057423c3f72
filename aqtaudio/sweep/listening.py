"""What the runs of a study sound like: clips for the page of its report.

Lossless (FLAC), so that nothing is heard that a run did not make. Made for pages of the user's own:
they hold recordings, whose licences go with them.
"""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aqtaudio.data.audio import to_int16
from aqtaudio.errors import BadInput
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.study.headlines import main_metric
from aqtaudio.study.measures import quality
from aqtaudio.study.store import Row, Store
from aqtaudio.tasks.task import Sounds

MOST_BYTES = 2_700_000
"""Of all clips of a page, as text: with the rest, 3 MB."""
CLIPS, CLIP_MS = 3, 4000


def listening(
    study: Path,
    folders: Sequence[Path],
    most_bytes: int = MOST_BYTES,
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Clips through the artifacts of a study, the best ones first, as many as there is room for.

    Returns:
      per clip {"title", "given", "wanted", "made": {run_id: clip}}; clips are data URLs.

    Raises:
      BadInput: the study has no artifacts, or their task makes no sound.
    """
    told: list[dict[str, Any]] = []
    used = 0
    for row in _kept(study):
        run = Run(study / "artifacts" / str(row["run_id"]))
        say(f"listening to {run.path.name}")
        sounds = _sounds(run, folders)
        if not told:
            told = [_told(sound) for sound in sounds]
            used = sum(len(clip[name]) for clip in told for name in ("given", "wanted"))
        made = [_url(sound.made, sound.sample_rate_hz) for sound in sounds]
        used += sum(map(len, made))
        if used > most_bytes:
            break
        for clip, url in zip(told, made, strict=True):
            clip["made"][run.path.name] = url
    if not any(clip["made"] for clip in told):
        raise BadInput(f"{study}: clips of one run take more than {most_bytes:,} bytes")
    return told


def _kept(study: Path) -> list[Row]:
    """Rows with an artifact, best first."""
    rows = Store(study).rows()
    kept = [row for row in rows if (study / "artifacts" / str(row["run_id"])).is_dir()]
    if not kept:
        raise BadInput(f"{study}: no artifact to listen to")
    metric = main_metric(rows)
    return sorted(kept, key=lambda row: -(quality(row, metric) or 0.0))


def _sounds(run: Run, folders: Sequence[Path]) -> list[Sounds]:
    task, setup = run.experiment.task, run.experiment.setup
    data = task.load(folders, setup, ("val",))
    items = data.evaluation_list("val")[:CLIPS]
    with network(run, "integer") as opened:
        found = task.sounds(opened, data, items, setup)
    if not found:
        raise BadInput(f"{run.path}: runs of {type(task).__name__} make no sound")
    return found


def _told(sound: Sounds) -> dict[str, Any]:
    given, wanted = (_url(x, sound.sample_rate_hz) for x in (sound.given, sound.wanted))
    return {"title": sound.title, "given": given, "wanted": wanted, "made": {}}


def _url(samples: np.ndarray, sample_rate_hz: int) -> str:
    file = io.BytesIO()
    clip = to_int16(samples[: CLIP_MS * sample_rate_hz // 1000])
    soundfile.write(file, clip, sample_rate_hz, format="FLAC")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"
