"""Three wake words for ESPHome: `wake_words.py` behind the front end that its micro_wake_word has.

Frames of 10 ms, three per call, in the very codes that the device makes of them.

    aqtaudio train configs/wake_words_esphome.py --data DIR --out RUN
    aqtaudio export RUN --to esphome --data DIR --out FOLDER
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.frontends.named import NAMED

BASE = load_config(Path(__file__).with_name("wake_words.py"))
EXPERIMENT = dataclasses.replace(BASE, frontend=NAMED["micro-esphome"], stream_block_frames=3)
