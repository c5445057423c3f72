"""How a run stands lines and levels that no training had, on one clip of every speaker."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from aqtaudio.data.audio import to_float
from aqtaudio.tasks.bandwidth import whole
from aqtaudio.tasks.bandwidth.data import BandwidthData, SpeechItem
from aqtaudio.tasks.bandwidth.lines import CONDITIONS
from aqtaudio.tasks.bandwidth.task import compared, frontend_of
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Network


def robustness(
    network: Network, data: BandwidthData, items: Sequence[SpeechItem], setup: Setup
) -> dict[str, Any]:
    """What `robustness` tells: the same clips over every line.

    Returns:
      {"n", "lines": [{"condition", ... as `evaluate` tells figures, the narrow band's too}]}.
    """
    firsts: dict[str, SpeechItem] = {}
    for item in items:
        firsts.setdefault(data.speaker_of(item), item)
    lines = []
    for name, line in CONDITIONS.items():
        over = [
            dataclasses.replace(item, condition=name, level_dbfs=line.level_dbfs)
            for item in firsts.values()
        ]
        narrow, wide = (to_float(x) for x in data.evaluation_arrays(over))
        made = whole.extended(network, narrow, frontend_of(setup))
        found = dict(compared(wide, narrow, made, data, over, with_dnsmos=True))
        del found["per_condition"]
        lines.append({"condition": name} | found)
    return {"n": len(firsts), "lines": lines}
