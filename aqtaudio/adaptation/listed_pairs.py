"""Verification on pairs that lists name: LibriPhrase's own.

Shin et al., "Learning Audio-Text Agreement for Open-vocabulary Keyword Spotting", arXiv:2206.15400.
A line of a list names a recording (`comparison`), a text (`anchor_text`), whether the recording
says the text (`target`) and what kind of pair it is (`type`). A recording is a phrase alone, cut
out of a sentence: it is heard from silence.
"""

import csv
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from aqtaudio.adaptation.enroll_examples import clip_features
from aqtaudio.adaptation.negative_codes import codes_of_clips
from aqtaudio.adaptation.text_encoder import LEAST_PHONES, TextEncoder
from aqtaudio.adaptation.verification import CTC, FILTER, SCORES, SUM, rates
from aqtaudio.data import audio, dictionary, phrase
from aqtaudio.data.phones import Phones
from aqtaudio.errors import BadInput
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.text_keywords import ctc
from aqtaudio.tasks.text_keywords.contrast import LATE_FRAMES
from aqtaudio.tasks.text_keywords.filters import answers
from aqtaudio.tasks.text_keywords.queries import MOST_PHONES

COLUMNS = FILE, TEXT, KIND, TARGET = "comparison", "anchor_text", "type", "target"
KINDS = {"easyneg": "easy", "hardneg": "hard"}
"""How the types of pairs end that are of two texts."""
POSITIVE = "positive"
LEAD_MS, TAIL_MS = 500, 800
"""Of silence around a recording."""
LONGEST_MS = 4000
BESIDE = 48
"""Recordings of other texts that tell what a text's scores are like where it is not said."""
TOGETHER = 32
"""Recordings of a text that are scored at once, beside those."""
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Pair:
    """A recording and a text.

    Attributes:
      file: of the recording.
      text: words.
      kind: "" where the recording says the text, else "easy" or "hard".
    """

    file: Path
    text: str
    kind: str


def read(lists: Sequence[Path], root: Path) -> list[Pair]:
    """The pairs of lists, whose recordings lie below a folder.

    Raises BadInput for a list without the columns, a type or a target that is none, and a recording
    that is not there.
    """
    return [pair for file in lists for pair in _read(file, root)]


def _read(file: Path, root: Path) -> list[Pair]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: no readable list ({error})") from None
    table = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise BadInput(f"{file}: no column {', '.join(missing)}; needed: {', '.join(COLUMNS)}")
    return [_pair(row, f"{file}, line {number}", root) for number, row in enumerate(table, 2)]


def _pair(row: dict[str, str | None], place: str, root: Path) -> Pair:
    name, text, kind, target = ((row[column] or "").strip() for column in COLUMNS)
    end = kind.rpartition("_")[2]
    if end not in (POSITIVE, *KINDS) or target not in ("0", "1"):
        raise BadInput(
            f"{place}: type {kind!r}, target {target!r}; allowed: types that end in "
            f"{', '.join((POSITIVE, *KINDS))}, targets 0 and 1"
        )
    if (end == POSITIVE) != (target == "1"):
        raise BadInput(f"{place}: type {kind!r} with target {target}")
    return Pair(_below(root, name, place), text, KINDS.get(end, ""))


def _below(root: Path, name: str, place: str) -> Path:
    """The recording: lists hold paths of the machine that they were made on."""
    parts = [part for part in Path(name).parts if part not in ("/", "..")]
    for first in range(len(parts)):
        file = root.joinpath(*parts[first:])
        if file.is_file():
            return file
    raise BadInput(f"{place}: no recording {name} below {root}")


def verification(encoder: TextEncoder, pairs: Sequence[Pair], say: Say) -> dict[str, Any]:
    """Equal error rates and areas under the curve, by score and kind; pairs; what was left out.

    Raises BadInput where no pairs of two kinds are left.
    """
    said, left_out = _pronounced(Counter(pair.text for pair in pairs))
    known = [pair for pair in pairs if pair.text in said]
    heard = _heard(encoder, sorted({pair.file for pair in known}), say)
    kept = [pair for pair in known if pair.file in heard]
    if len(kept) < len(known):
        left_out[f"recordings longer than {LONGEST_MS} ms"] = len(known) - len(kept)
    counts = Counter(pair.kind for pair in kept)
    if not counts[""] or len(counts) < 2:
        raise BadInput(f"no pairs to compare; left out of {len(pairs)}: {left_out}")
    scores, kinds = _scored(encoder, kept, said, heard, say), np.asarray([p.kind for p in kept])
    value: dict[str, Any] = {
        "pairs": {kind or POSITIVE: counts[kind] for kind in sorted(counts)},
        "texts": len({pair.text for pair in kept}),
        "left_out": left_out,
    }
    for score in SCORES:
        for kind in sorted(set(counts) - {""}):
            both = rates(scores[score][kinds == ""], scores[score][kinds == kind])
            value[f"{score}_{kind}"] = dict(zip(("eer", "auc"), both, strict=True))
    return value


def _pronounced(texts: Counter[str]) -> tuple[dict[str, Phones], dict[str, int]]:
    """Phones of texts; and how many pairs have none that a filter can be made of, by reason."""
    known, said = dictionary.find(), {}
    left_out: Counter[str] = Counter()
    for text, pairs in sorted(texts.items()):
        try:
            words = phrase.understood(text.lower(), known).phones
        except BadInput:
            left_out["no words that can be pronounced"] += pairs
            continue
        phones = tuple(itertools.chain(*words))
        if LEAST_PHONES <= len(phones) <= MOST_PHONES:
            said[text] = phones
        else:
            left_out[f"not of {LEAST_PHONES} to {MOST_PHONES} phones"] += pairs
    return said, dict(left_out)


@dataclasses.dataclass(frozen=True)
class Heard:
    """A recording: codes int8 [frames, C] that filters read, and how many frames count."""

    codes: np.ndarray
    frames: int


def _scored(
    encoder: TextEncoder,
    pairs: Sequence[Pair],
    said: Mapping[str, Phones],
    heard: Mapping[Path, Heard],
    say: Say,
) -> dict[str, np.ndarray]:
    """Scores of pairs, in deviations of their text's over recordings of other texts."""
    by_text: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        by_text.setdefault(pair.text, []).append(place)
    order, found = np.random.default_rng(0).permutation(len(pairs)), np.zeros((len(pairs), 2))
    score = _Scores(encoder)
    for number, (text, places) in enumerate(sorted(by_text.items()), 1):
        paired = {pairs[place].file for place in places}  # some of them say it
        unpaired = (place for place in order if pairs[place].file not in paired)
        others = list(itertools.islice(unpaired, BESIDE))
        if not others:
            raise BadInput(f"{text!r} is paired with every recording; needed: others beside them")
        some = [heard[pairs[place].file] for place in (*places, *others)]
        scores = score(said[text], some)
        own, beside = scores[: len(places)], scores[len(places) :]
        found[places] = (own - np.median(beside, 0)) / np.maximum(np.std(beside, 0), 1e-6)
        if not number % 200:
            say(f"{number} of {len(by_text)} texts")
    alike = found / np.std(found, 0)
    return {FILTER: found[:, 0], CTC: found[:, 1], SUM: alike.sum(1)}


class _Scores:
    """The largest answers of a text's filter and path to recordings."""

    def __init__(self, encoder: TextEncoder):
        shape = encoder.task.filters
        self._encoder = encoder
        self._filtered = compiled(lambda x, made: answers(x, made, shape)[:, 0])
        self._listened = compiled(
            lambda x, classes: ctc.path_scores(x[..., : ctc.CLASSES], classes)
        )

    def __call__(self, phones: Phones, some: Sequence[Heard]) -> np.ndarray:
        """[recordings, 2]."""
        made, output = self._encoder.filters([phones]), self._encoder.output
        classes, found = jnp.asarray(ctc.classes_of(phones)), []
        for first in range(0, len(some), TOGETHER):
            part = some[first : first + TOGETHER]
            padded = [*part, *([part[0]] * (TOGETHER - len(part)))]
            codes = np.stack([one.codes for one in padded]).astype(np.float32)
            x = (codes - output.zero_point) * np.float32(output.scale)
            counts = np.arange(x.shape[1]) < np.asarray([one.frames for one in padded])[:, None]
            tables = self._filtered(x, made), self._listened(x, classes)
            best = [np.where(counts, np.asarray(table), -np.inf).max(1) for table in tables]
            found.append(np.stack(best, 1)[: len(part)])
        return np.concatenate(found)


def _heard(encoder: TextEncoder, files: Sequence[Path], say: Say) -> dict[Path, Heard]:
    """Recordings that are not too long, each from silence and with silence behind."""
    setup, executor = encoder.experiment.setup, Executor(encoder.program)
    rate_hz = setup.frontend.sample_rate_hz
    lead, longest, tail = (ms * rate_hz // 1000 for ms in (LEAD_MS, LONGEST_MS, TAIL_MS))
    frame = setup.block_frames * setup.frontend.hop_samples
    found: dict[Path, Heard] = {}
    for first in range(0, len(files), TOGETHER):
        clips, sizes = np.zeros((TOGETHER, lead + longest + tail), np.int16), {}
        for row, file in enumerate(files[first : first + TOGETHER]):
            sound = audio.load_int16(file, rate_hz)
            if len(sound) <= longest:
                clips[row, lead : lead + len(sound)] = sound
                sizes[file] = row, (lead + len(sound)) // frame + LATE_FRAMES
        codes = codes_of_clips(executor, np.asarray(clip_features(setup)(clips)), setup)
        found |= {file: Heard(codes[row], frames) for file, (row, frames) in sizes.items()}
        if not (first // TOGETHER + 1) % 50:
            say(f"{first + TOGETHER} of {len(files)} recordings")
    return found
