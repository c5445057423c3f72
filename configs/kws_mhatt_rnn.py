"""MHAtt-RNN with 32 units per direction, on whole clips.

It reads a clip in both directions, so it cannot stream.
What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.mhatt_rnn import MHAttRNN

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=MHAttRNN(units=32, heads=2),
    frontend=Mfcc(coefficients=20),
    stream_block_frames=0,
)
