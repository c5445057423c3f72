"""A GRU of 96 units as a stream of 20 ms blocks, trained after two clips of context.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.gru import KeywordGRU

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=KeywordGRU(units=96, hidden=(64, 64)),
    frontend=Mfcc(coefficients=20),
    stream_context_clips=2,
)
