"""The second search of the study `kws_precision`: the bits of every layer of MatchboxNet.

It adds to the rows that `kws_precision.py` made; run that one first.

    aqtaudio sweep sweeps/kws_precision_matchbox_net.py --data DIR --batch 8 --resume
"""

import dataclasses
import runpy
from pathlib import Path

from aqtaudio.sweep.bit_allocation import bit_choices

BASE = runpy.run_path(str(Path(__file__).with_name("kws_precision.py")))
PARENT = BASE["MATCHBOX_NET"][2]
SPACE = bit_choices(BASE["settings_of"](PARENT))
STUDY = dataclasses.replace(
    BASE["STUDY"],
    label="bits_matchbox_net",
    space=SPACE,
    runs=BASE["searched"](PARENT),
    first=[BASE["end_of"](SPACE, place) for place in (0, -1)],
    grid=(),
)
