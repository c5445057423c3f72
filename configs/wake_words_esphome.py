"""Wake words for ESPHome: `wake_words_alone.py` behind the front end that its micro_wake_word has.

Frames of 10 ms, three per call, in the very codes that the device makes of them. The first
convolution takes three frames at a time, so the rest of the network runs once per call.

    aqtaudio train configs/wake_words_esphome.py --data VOICES --data DIR --out RUN \\
        --task.teacher JOINED
    aqtaudio export RUN --to esphome --data DIR --out FOLDER
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.named import NAMED
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.tasks.keywords.spotting import Spotting

BASE = load_config(Path(__file__).with_name("wake_words_alone.py"))
FRAMES = 3
EXPERIMENT = dataclasses.replace(
    BASE,
    model=MatchboxNet(
        width=40,
        first_kernel=5,
        kernels=(7, 9, 11),
        last_kernel=13,
        causal=True,
        first_stride=FRAMES,
        first_full=True,
    ),
    # Whole blocks: 129 frames.
    task=dataclasses.replace(
        Spotting.of(BASE.task), clip_ms=1310, scenes_per_clip=10, speed_change=0.15, masked=True
    ),
    frontend=NAMED["micro-esphome"],
    stream_block_frames=FRAMES,
    optimizer=dataclasses.replace(BASE.optimizer, steps=3000),
    finetune=dataclasses.replace(BASE.finetune, steps=400),
    evaluate_every=1000,
    checkpoint_every=250,
)
