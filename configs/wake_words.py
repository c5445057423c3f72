"""Three wake words in a stream, by a causal MatchboxNet of width 32.

The augmentation mixes louder noise and other speech behind the words than `kws_matchbox_net.py`
does. With the augmentation of that config, three times as many words were missed in one scene of
116.

    aqtaudio train configs/wake_words.py --data DIR --out RUN
    aqtaudio detect RUN --data DIR
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.tasks.keywords.task import Keywords

BASE = load_config(Path(__file__).with_name("kws_matchbox_net.py"))
EXPERIMENT = dataclasses.replace(
    BASE,
    model=MatchboxNet(width=32, causal=True),
    task=Keywords(("alexa", "computer", "jarvis")),
    augmentation=dataclasses.replace(
        BASE.augmentation, noise_max_volume=0.3, babble_probability=0.8, babble_max_volume=0.3
    ),
    optimizer=dataclasses.replace(BASE.optimizer, steps=1500),
    finetune=dataclasses.replace(BASE.finetune, steps=200),
)
