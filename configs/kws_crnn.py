"""CRNN with a GRU of 64 units as a stream of 20 ms blocks. Otherwise as `kws_matchbox_net.py`."""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.crnn import CRNN

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=CRNN(units=64, hidden=(64, 64), causal=True),
    frontend=Mfcc(coefficients=20),
    stream_context_clips=2,
)
