"""SVDF with batch norm as a stream of 20 ms blocks.

What is not set here is as in `kws_matchbox_net.py`.
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.svdf import SVDF

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=SVDF(width=96, projection=48, norm=True),
    frontend=Mfcc(coefficients=30),
)
