"""How a run stands lines and levels that no training had, on one clip of every speaker."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from aqtaudio.tasks.bandwidth.data import BandwidthData, SpeechItem
from aqtaudio.tasks.bandwidth.lines import CONDITIONS


def robustness(
    scored: Callable[[Sequence[SpeechItem]], dict[str, Any]],
    data: BandwidthData,
    items: Sequence[SpeechItem],
) -> dict[str, Any]:
    """What `robustness` tells: the same clips over every line.

    Returns:
      {"n", "lines": [{"condition", ... figures of `scored`}]}.
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
        found = dict(scored(over))
        del found["per_condition"]
        lines.append({"condition": name} | found)
    return {"n": len(firsts), "lines": lines}
