"""A small CRNN as a stream of 20 ms blocks, with fewer steps.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.crnn import CRNN

BASE = load_config(Path(__file__).with_name("kws_matchbox_net.py"))
EXPERIMENT = dataclasses.replace(
    BASE,
    model=CRNN(width=8, units=64, hidden=(64, 64), causal=True),
    frontend=Mfcc(coefficients=20),
    optimizer=dataclasses.replace(BASE.optimizer, steps=1000),
    finetune=dataclasses.replace(BASE.finetune, steps=200),
)
