"""Three wake words in a stream, on a causal MatchboxNet of width 32.

aqtaudio train configs/wake_words.py --data DIR --out RUN
aqtaudio detect RUN --data DIR
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import Keywords, load_config
from aqtaudio.models.matchbox_net import MatchboxNet

EXPERIMENT = dataclasses.replace(
    load_config(Path(__file__).with_name("kws_matchbox_net.py")),
    model=MatchboxNet(width=32, causal=True),
    task=Keywords(("alexa", "computer", "jarvis")),
)
