"""Published test sets of noisy and clean recordings (`data.noisy_pairs`), scored as papers do.

Every recording goes through the run as a stream, from silence, and is scored whole at 16 kHz, and
so is what went in. Scores of a recording are a file: a killed evaluation goes on with the next
one, and no more than one recording is in memory.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from aqtaudio.data import audio
from aqtaudio.data.noisy_pairs import Pair
from aqtaudio.errors import BadInput
from aqtaudio.files import write_json
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement.composite import composites
from aqtaudio.tasks.enhancement.stream import real_time_factor
from aqtaudio.tasks.sound_file import Streams
from aqtaudio.tasks.sound_quality import SCORED_HZ

TITLES = {
    "pesq": "PESQ (wide band)",
    "csig": "CSIG",
    "cbak": "CBAK",
    "covl": "COVL",
    "stoi": "STOI",
    "si_sdr_db": "SI-SDR, dB",
    "segmental_snr_db": "segmental SNR, dB",
    "llr": "LLR",
    "wss": "WSS",
    "dnsmos_sig": "DNSMOS SIG",
    "dnsmos_bak": "DNSMOS BAK",
    "dnsmos_ovrl": "DNSMOS OVRL",
}
MANY_SPEAKERS = 10
"""With fewer a bootstrap's intervals are too narrow."""
TIMED_S = 10


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A run on a test set.

    Attributes:
      streams: of the run.
      pairs: of the test set.
      folder: where scores are kept, of this run, runtime and test set alone.
      progress: told how many recordings are scored, of how many, and how many were before.
    """

    streams: Streams
    pairs: Sequence[Pair]
    folder: Path
    progress: Callable[[int, int, int], None]

    def result(self) -> dict[str, Any]:
        """Scores what was not scored yet; means over all, and how fast the run is.

        Returns:
          n, intervals_over ("speakers" or "files") and how many of them (groups), noisy and output
          (each a `sound_quality.summary`), real_time_factor (hop by hop) and delay_ms.

        Raises:
          BadInput: a recording that cannot be read; a package is missing.
        """
        require_packages()
        self.folder.mkdir(parents=True, exist_ok=True)
        left = [pair for pair in self.pairs if not self._file(pair).exists()]
        before = len(self.pairs) - len(left)
        for done, pair in enumerate(left, start=1 + before):
            write_json(self._file(pair), self._scored(pair))
            self.progress(done, len(self.pairs), before)
        return self._means() | self._speed()

    def _file(self, pair: Pair) -> Path:
        return self.folder / f"{pair.name}.json"

    def _scored(self, pair: Pair) -> dict[str, dict[str, float | None]]:
        clean, noisy = (audio.load(file, SCORED_HZ) for file in (pair.clean, pair.noisy))
        sounds = {"noisy": noisy, "output": self._enhanced(pair.noisy)}
        length = min(map(len, (clean, *sounds.values())))  # resampled, one may be a sample longer
        return {
            name: _kept(scores(clean[:length], sound[:length])) for name, sound in sounds.items()
        }

    def _enhanced(self, file: Path) -> np.ndarray:
        """A recording without its noise, at the rate of scoring."""
        with self.streams() as stream:
            own_hz = stream.frontend.sample_rate_hz
            made = np.concatenate([stream.push(audio.load(file, own_hz)), stream.finish()])
        return made if own_hz == SCORED_HZ else soxr.resample(made, own_hz, SCORED_HZ)

    def _means(self) -> dict[str, Any]:
        found = [json.loads(self._file(pair).read_text()) for pair in self.pairs]
        speakers = [pair.speaker for pair in self.pairs]
        known = "-" not in speakers
        groups = speakers if known else [pair.name for pair in self.pairs]
        value: dict[str, Any] = {"n": len(found)}
        value |= {"intervals_over": "speakers" if known else "files", "groups": len(set(groups))}
        for name in ("noisy", "output"):
            rows = [_numbers(one[name]) for one in found]
            value[name] = sound_quality.summary(rows, groups)
        return value

    def _speed(self) -> dict[str, float]:
        with self.streams() as stream:
            own_hz = stream.frontend.sample_rate_hz
            samples = audio.load(self.pairs[0].noisy, own_hz)[: TIMED_S * own_hz]
            factor = real_time_factor(stream, samples)
            return {"real_time_factor": factor, "delay_ms": stream.delay_ms}


def scores(clean: np.ndarray, heard: np.ndarray) -> dict[str, float]:
    """All measures of `TITLES` of what is heard at 16 kHz, float [samples]; NaN: it has none."""
    pesq = sound_quality.pesq_wb(clean, heard, SCORED_HZ)
    dnsmos = sound_quality.dnsmos(heard, SCORED_HZ)
    found = {"pesq": pesq, **composites(clean, heard, pesq)}
    found |= {"stoi": sound_quality.stoi(clean, heard, SCORED_HZ)}
    found |= {"si_sdr_db": sound_quality.si_sdr(clean, heard)}
    found |= {f"dnsmos_{name}": value for name, value in dnsmos.items()}
    return {name: found[name] for name in TITLES}


def require_packages() -> None:
    """Raises BadInput where scores cannot be computed."""
    if not sound_quality.models_are_installed():
        raise BadInput(f"a protocol needs PESQ, STOI and DNSMOS: {sound_quality.INSTALL}")


def table(value: Mapping[str, Any]) -> list[str]:
    """What `Protocol.result` found as lines of Markdown."""
    lines = ["| mean, 95 % interval | noisy | output |", "|---|---|---|"]
    for name, title in TITLES.items():
        cells = " | ".join(_cell(value[sound], name) for sound in ("noisy", "output"))
        lines.append(f"| {title} | {cells} |")
    few = value["intervals_over"] == "speakers" and value["groups"] < MANY_SPEAKERS
    told = ", too few for intervals to be trusted" if few else ""
    return [*lines, "", f"Intervals over {value['groups']} {value['intervals_over']}{told}."]


def _cell(means: Mapping[str, Any], name: str) -> str:
    if name not in means:
        return "-"
    interval = means["intervals"].get(name)
    told = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    without = means.get("left_out", {}).get(name)
    return f"{means[name]:.3f}{told}" + (f", {without} without a score" if without else "")


def _kept(found: Mapping[str, float]) -> dict[str, float | None]:
    """As JSON has them."""
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _numbers(kept: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in kept.items()}
