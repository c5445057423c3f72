"""Which probes an embedding is judged by: the recordings and classes of each, as settings.

What they find: `judging`.
"""

import dataclasses
import fnmatch
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from aqtaudio.data.labels import SILENCE, UNKNOWN, class_of
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.probe_training import ProbeSettings

OTHERS = (UNKNOWN, SILENCE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class LabelProbe:
    """A probe of labels, or (`settings.multi_label`) of the tags beside a manifest.

    Attributes:
      name: its figures begin with it.
      labels: the classes: labels, or patterns such as "noise:*" for all that training recordings
        have. Of tags likewise.
      others: classes of what has none of them: "unknown", any other sound or word; "silence", noise
        and silence. Without them such recordings are left out.
      unheard: labels (or patterns) of "unknown" that training leaves out: scores then tell what it
        makes of words that it has not heard.
      clip_ms: of each recording, its loudest place. Of a run that takes whole clips a multiple of
        its own. Shorter recordings have a converter's silence before them.
      settings: how it is trained, what is made of several vectors.
      least_per_class: labels and tags that fewer training recordings have are no classes.
      most_per_class: training clips of a class at most.
      few_shot_draws: how often few clips of each class are drawn; 0: no few-shot figures.
    """

    name: str
    labels: tuple[str, ...] = ("*",)
    others: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    clip_ms: int = 1000
    settings: ProbeSettings = ProbeSettings()
    least_per_class: int = 5
    most_per_class: int = 300
    few_shot_draws: int = 5

    def __post_init__(self):
        rules = (
            (
                _NAME.fullmatch(self.name) is not None,
                f"name is {self.name!r}; allowed: small letters, digits and _",
            ),
            (bool(self.labels), "labels are none; allowed: labels, or patterns such as noise:*"),
            (
                set(self.others) <= set(OTHERS),
                f"others are {', '.join(self.others)}; allowed: {', '.join(OTHERS)}",
            ),
            (
                not self.unheard or UNKNOWN in self.others,
                f"unheard labels are {UNKNOWN}, which others must name then",
            ),
            (self.clip_ms >= 1, f"clip_ms is {self.clip_ms}; allowed: 1 or more"),
            (
                self.least_per_class >= 1,
                f"least_per_class is {self.least_per_class}; allowed: >= 1",
            ),
            (self.most_per_class >= 2, f"most_per_class is {self.most_per_class}; allowed: >= 2"),
            (self.few_shot_draws >= 0, f"few_shot_draws is {self.few_shot_draws}; allowed: >= 0"),
            (
                not (self.settings.multi_label and (self.others or self.unheard)),
                "others and unheard are of labels; tags have none",
            ),
        )
        for holds, message in rules:
            if not holds:
                raise BadInput(f"probe {self.name!r}: {message}")

    @property
    def main(self) -> str:
        """The name of its main figure."""
        return f"{self.name}_{'micro_auprc' if self.settings.multi_label else 'accuracy'}"

    def classes(
        self, training: Sequence[Recording], tags: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        """In order of the alphabet, `others` last.

        Raises BadInput where training recordings have fewer than two (one tag is enough).
        """
        if self.settings.multi_label:
            counts = Counter(tag for row in training for tag in tags.get(row.path, ()))
        else:
            counts = Counter(row.label for row in training)
        enough = (name for name, count in counts.items() if count >= self.least_per_class)
        found = sorted(name for name in enough if _is_of(name, self.labels))
        if not self.settings.multi_label:
            kinds = {class_of(row.label, found) for row in self._heard(training)}
            found += [name for name in OTHERS if name in self.others and name in kinds]
        if len(found) < 2 - self.settings.multi_label:
            what = "tags" if self.settings.multi_label else "labels"
            raise BadInput(
                f"probe {self.name!r}: split 'train' has {len(found)} of the {what} "
                f"{', '.join(self.labels)}; allowed: several, with {self.least_per_class} "
                "recordings each"
            )
        return tuple(found)

    def _heard(self, recordings: Sequence[Recording]) -> list[Recording]:
        return [row for row in recordings if not _is_of(row.label, self.unheard)]

    def class_of(self, label: str, classes: Sequence[str], training: bool) -> int | None:
        """The place of a label's class among `classes`; None where it is left out."""
        if training and _is_of(label, self.unheard):
            return None
        own = [name for name in classes if name not in OTHERS]
        name = class_of(label, own)
        return classes.index(name) if name in classes else None

    def truth(
        self,
        recording: Recording,
        classes: Sequence[str],
        tags: Mapping[str, Sequence[str]],
        training: bool,
    ) -> int | np.ndarray | None:
        """Of a recording its class, or int [tags], 0 or 1; None where it is left out."""
        if not self.settings.multi_label:
            return self.class_of(recording.label, classes, training)
        if recording.path not in tags:
            return None
        return np.array([name in tags[recording.path] for name in classes], np.int64)


def _is_of(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
