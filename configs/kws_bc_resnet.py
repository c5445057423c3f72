"""BC-ResNet-1 as a stream of 20 ms blocks, with fewer steps.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.bc_resnet import BCResNet

BASE = load_config(Path(__file__).with_name("kws_matchbox_net.py"))
EXPERIMENT = dataclasses.replace(
    BASE,
    model=BCResNet(causal=True),
    optimizer=dataclasses.replace(BASE.optimizer, steps=1500),
    finetune=dataclasses.replace(BASE.finetune, steps=200),
)
