"""What baselines without a network score on the list that networks are scored on."""

from collections.abc import Sequence

import numpy as np

from aqtaudio.data import audio
from aqtaudio.data.audio import to_float
from aqtaudio.tasks.bandwidth.baselines import Baselines
from aqtaudio.tasks.bandwidth.data import BandwidthData, SpeechItem, at_level
from aqtaudio.tasks.bandwidth.lines import CONDITIONS, LISTED, narrow_band
from aqtaudio.tasks.bandwidth.task import compared
from aqtaudio.tasks.task import Scores


def baseline_scores(
    data: BandwidthData, items: Sequence[SpeechItem], fitted_clips: int
) -> dict[str, Scores]:
    """By answer: scores as `evaluate` tells them. Fitted to clips of split train."""
    wide = []
    for number, clip in enumerate(data.clips_of("train", fitted_clips)):
        scaled = at_level(clip, CONDITIONS[LISTED[number % len(LISTED)]].level_dbfs)
        wide.append(to_float(audio.to_int16(scaled)))
    narrow = [
        narrow_band(clip, LISTED[number % len(LISTED)], data.sample_rate_hz)
        for number, clip in enumerate(wide)
    ]
    answers = Baselines.fitted(np.stack(narrow), np.stack(wide), data.sample_rate_hz)
    heard, true = (to_float(x) for x in data.evaluation_arrays(items))
    made = {
        "resampled": heard,
        "folded": answers.folded(heard),
        "predicted": answers.predicted(heard),
    }
    return {name: compared(true, heard, clips, data, items) for name, clips in made.items()}
