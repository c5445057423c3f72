"""A streaming transformer in blocks of 40 ms, with fewer steps.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import load_config
from aqtaudio.models.streaming_attention import StreamingAttention

BASE = load_config(Path(__file__).with_name("kws_matchbox_net.py"))
EXPERIMENT = dataclasses.replace(
    BASE,
    model=StreamingAttention(blocks=2),
    augmentation=Augmentation(spec_time_masks=1, spec_frequency_masks=1),
    optimizer=dataclasses.replace(BASE.optimizer, steps=1500, learning_rate=2e-3),
    stream_block_frames=2,
)
