"""A small Conformer encoder as a stream of 80 ms blocks, with fewer steps.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import load_config
from aqtaudio.models.conformer import Conformer

BASE = load_config(Path(__file__).with_name("kws_matchbox_net.py"))
EXPERIMENT = dataclasses.replace(
    BASE,
    model=Conformer(width=32, layers=2, heads=4, window=12, kernel=8, front=8),
    augmentation=Augmentation(spec_time_masks=1, spec_frequency_masks=1),
    optimizer=dataclasses.replace(BASE.optimizer, steps=1500, learning_rate=2e-3),
    stream_block_frames=4,
)
