"""BC-ResNet-1 as a stream of 20 ms blocks. Otherwise as `kws_matchbox_net.py`."""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.bc_resnet import BCResNet

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=BCResNet(causal=True),
)
