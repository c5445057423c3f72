"""TC-ResNet8 as a stream of 160 ms blocks of eight frames.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.tc_resnet import TCResNet

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=TCResNet(causal=True),
    stream_block_frames=8,
)
