"""FastEnhancer-B from scratch, 16x8: as `denoise_fast_enhancer.py`, with 91,000 parameters.

aqtaudio train configs/denoise_fast_enhancer_base.py --data DATA --out RUN
"""

import dataclasses
from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.models.fast_enhancer import BASE

TINY = load_config(Path(__file__).with_name("denoise_fast_enhancer.py"))
EXPERIMENT = dataclasses.replace(TINY, model=BASE)
