"""From text to a detector, in seconds: no recordings of the phrases, no training; or in minutes.

The network of filters makes a filter of each phrase's phones; hours of other sound, as the encoder
puts them out, tell how often it would ring, and so its scale and threshold. What comes out is an
ordinary keyword run (`tasks.keywords.spotting`): the encoder's program and the filters' as one.
Where voices or people say the phrases, the filters are trained on that, from those of the text on.
"""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.adaptation import enroll_scaling as scaling
from aqtaudio.adaptation import negative_codes
from aqtaudio.adaptation.enroll_examples import (
    Examples,
    Progress,
    Sayings,
    examples,
    require_said,
    spoken_folders,
)
from aqtaudio.adaptation.enroll_page import markdown
from aqtaudio.adaptation.enroll_program import Answer, Line, bank_program, filter_bank
from aqtaudio.adaptation.enroll_refining import refined
from aqtaudio.adaptation.negative_codes import NegativeCodes, in_windows
from aqtaudio.adaptation.text_encoder import CONFIG, ENROLLED, TextEncoder, text_encoder
from aqtaudio.data import dictionary
from aqtaudio.data.dictionary import Dictionary
from aqtaudio.data.phones import joined
from aqtaudio.data.phrase import Phrase, understood
from aqtaudio.detection import stored
from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, save_json
from aqtaudio.files import new_folder, write, write_arrays, write_json
from aqtaudio.program import program as programs
from aqtaudio.program.cost import Cost, cost
from aqtaudio.program.execute import Executor
from aqtaudio.program.joined import joined as joined_programs
from aqtaudio.program.program import Program
from aqtaudio.runs.run import COMPANIONS, Run
from aqtaudio.tasks.keywords.listening import Trial, choices
from aqtaudio.tasks.keywords.negatives import Heard
from aqtaudio.tasks.keywords.spotting import Spotting
from aqtaudio.tasks.text_keywords.ctc import classes_of
from aqtaudio.tasks.text_keywords.filter_bank import RECIPE

MOST_KEYWORDS = 32
FILTERS, PRIORS, PAGE = "filters.npz", "priors", "enroll.md"
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Keyword:
    """A phrase that was enrolled.

    Attributes:
      text: its words.
      understood: a line for people: words and phones.
      phones: of all words.
      answer: what tells it.
      settings: of its detector.
      found: what its threshold was found on.
      refined: what its training brought, where it was trained: clips, and `Rates` before and after.
    """

    text: str
    understood: str
    phones: tuple[str, ...]
    answer: Answer
    settings: DetectorSettings
    found: dict[str, Any]
    refined: dict[str, Any] | None = None


def enroll(
    source: Run,
    keywords: Sequence[str],
    out: Path,
    *,
    remove: Sequence[str] = (),
    false_alarms_per_hour: float = 0.5,
    negatives: Sequence[Path] = (),
    hours: float = negative_codes.HOURS,
    known: Dictionary | None = None,
    language: str = "en-us",
    sayings: Sayings | None = None,
    say: Say = lambda text: None,
    progress: Progress = None,
) -> tuple[Run, dict[str, Any]]:
    """Makes the artifact `out`: `source` with the keywords.

    Args:
      source: a text-keyword run, or an artifact of this function, whose keywords stay, to the bit.
      keywords: phrases; `/HH EY/` in one is a pronunciation.
      out: folder, new.
      remove: of the artifact's keywords, those that go.
      false_alarms_per_hour: that each keyword's threshold is found for.
      negatives: manifest folders of other sound; none: what is kept beside the encoder.
      hours: of them, at most.
      known: pronouncing dictionary; None: the installed one.
      language: of espeak-ng, for words that the dictionary lacks.
      sayings: who says the phrases: their filters are trained on that; None: text is all.
      say: told what was understood.
      progress: of speaking, as `speak_corpus` calls it.

    Returns:
      The detector, and what its page tells.

    Raises:
      BadInput: a phrase that nobody can pronounce, one that is there already, too many; no sound to
        find thresholds on.
    """
    begun = time.monotonic()
    if not 0 < false_alarms_per_hour < math.inf:
        raise BadInput(f"--false-alarms-per-hour is {false_alarms_per_hour}; allowed: above 0")
    encoder, (kept, priors) = text_encoder(source), _enrolled(source)
    kept = _without(kept, remove, source.path)
    known = known or dictionary.find()
    phrases = [understood(text, known, language=language) for text in keywords]
    _require_new(phrases, kept)
    found, sound, bank = list(kept), None, None
    if phrases:
        filters = encoder.filters([joined(phrase.phones) for phrase in phrases])
        _require_sound(source, negatives)
        if sayings is not None:
            require_said([phrase.text for phrase in phrases], sayings)
        for phrase in phrases:
            say(phrase.line)
        sound = _negative_codes(source, encoder, negatives, hours, say)
        if priors is None:
            priors = scaling.priors(sound, encoder.output)
        hours_of = scaling.Hours(sound, encoder, priors, false_alarms_per_hour)
        made = [
            Keyword(
                phrase.text, phrase.line, joined(phrase.phones),
                hours_of.answer(phrase.text, taps, joined(phrase.phones)), Spotting.detector, {},
            )
            for phrase, taps in zip(phrases, filters, strict=True)
        ]  # fmt: skip
        if sayings is not None:
            heard = [_heard(phrase, encoder, sayings, known, progress, say) for phrase in phrases]
            unheard = dataclasses.replace(hours_of, sound=sound.half(1))
            made = [
                _trained(one, clips, hours_of, unheard)
                for one, clips in zip(made, heard, strict=True)
            ]
            sound = unheard.sound
        bank = _bank(made, encoder, priors)
        found += _with_thresholds(made, bank, encoder, sound, false_alarms_per_hour)
    assert priors is not None
    if kept or bank is None:
        bank = _bank(found, encoder, priors)
    program = joined_programs(encoder.program, bank)
    run = _written(out, source, encoder, found, priors, program, false_alarms_per_hour)
    value = _value(run, found, bank, program, sound, false_alarms_per_hour)
    value["seconds"] = round(time.monotonic() - begun, 1)
    write(run.path / PAGE, markdown(value))
    return run, value


def _heard(
    phrase: Phrase,
    encoder: TextEncoder,
    sayings: Sayings,
    known: Dictionary | None,
    progress: Progress,
    say: Say,
) -> Examples:
    folders, near = spoken_folders(phrase, sayings, known, progress)
    found = examples(encoder, phrase.text, near, folders)
    say(f"{phrase.text}: {len(found.says)} clips, in {sum(found.says)} of them it is said")
    return found


def _trained(
    one: Keyword, found: Examples, hours: scaling.Hours, unheard: scaling.Hours
) -> Keyword:
    """The keyword with a filter that was trained on one half of the other sound."""
    trains = dataclasses.replace(hours, sound=hours.sound.half(0))
    made = refined(one.answer, one.text, found, trains, unheard.sound)
    told: dict[str, Any] = {"clips": int(sum(found.says & found.trains))}
    told |= {"before": made.before._asdict(), "after": made.after._asdict()}
    answer = unheard.weighed(one.text, made.taps, one.answer.classes, made.shares)
    return dataclasses.replace(one, answer=answer, refined=told)


def _enrolled(source: Run) -> tuple[list[Keyword], np.ndarray | None]:
    """Keywords that are there already and the priors that they have; none of a run."""
    file = source.path / ENROLLED
    if not file.exists():
        return [], None
    try:
        lines = json.loads(file.read_text())["keywords"]
        settings = stored.read(source.path) or {}
        with np.load(source.path / FILTERS) as arrays:
            return [
                Keyword(
                    one["text"], one["understood"], tuple(one["phones"]),
                    Answer(
                        arrays[str(number)], tuple(classes_of(one["phones"])),
                        Line(*one["filter"]), Line(*one["path"]),
                    ),
                    settings[one["text"]], one["found"], one.get("refined"),
                )
                for number, one in enumerate(lines)
            ], arrays[PRIORS]  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(f"{source.path}: no readable {ENROLLED} and {FILTERS} ({error})") from None


def _without(kept: list[Keyword], remove: Sequence[str], path: Path) -> list[Keyword]:
    there = [one.text for one in kept]
    for text in remove:
        if text not in there:
            raise BadInput(f"{path} has no keyword {text!r}; it has: {', '.join(there) or 'none'}")
    return [one for one in kept if one.text not in remove]


def _require_new(phrases: Sequence[Phrase], kept: Sequence[Keyword]) -> None:
    texts = [one.text for one in kept]
    for phrase in phrases:
        if phrase.text in texts:
            raise BadInput(f"keyword {phrase.text!r} is there twice; allowed: once")
        texts.append(phrase.text)
    if not 1 <= len(texts) <= MOST_KEYWORDS:
        raise BadInput(f"{len(texts)} keywords; allowed: 1 to {MOST_KEYWORDS}")


def _require_sound(source: Run, folders: Sequence[Path]) -> None:
    if not folders and not (source.path / negative_codes.NAME).exists():
        raise BadInput(
            f"{source.path} keeps no sound to find thresholds on; needed: --negatives DIR, a "
            "manifest folder with speech and noise"
        )


def _negative_codes(
    source: Run, encoder: TextEncoder, folders: Sequence[Path], hours: float, say: Say
) -> NegativeCodes:
    if folders:
        return negative_codes.encoded(encoder, folders, hours, say)
    return negative_codes.read(source.path / negative_codes.NAME)


def _bank(found: Sequence[Keyword], encoder: TextEncoder, priors: np.ndarray) -> Program:
    answers = [one.answer for one in found]
    return bank_program(answers, encoder.task.filters, encoder.output.scale, priors)


def _with_thresholds(
    made: Sequence[Keyword],
    bank: Program,
    encoder: TextEncoder,
    sound: NegativeCodes,
    rate: float,
) -> list[Keyword]:
    """The keywords with the thresholds that their integers, of the program `bank`, ask for."""
    executor = Executor(bank)
    shape = executor.program.edges[executor.program.inputs[0]].shape
    words = tuple(one.text for one in made)
    heard = []
    for number, codes in enumerate(sound.codes):
        found = in_windows(
            codes, lambda some: executor.blocks(some.reshape(*some.shape[:2], *shape))[0]
        )
        logits = executor.dequantize(found)
        ends_s, said = sound.ends_s[number], sound.said(number, words)
        heard.append(Heard(sound.kinds[number], False, logits, ends_s, said))
    setup = encoder.experiment.setup
    trial = Trial(contextlib.nullcontext, Spotting(words), setup, Spotting.detector)  # type: ignore[arg-type]
    chosen = choices(trial, heard, rate)
    return [
        dataclasses.replace(
            one,
            settings=dataclasses.replace(one.settings, threshold=chosen[one.text][0].threshold),
            found=dataclasses.asdict(chosen[one.text][0]) | {"audio": chosen[one.text][1]},
        )
        for one in made
    ]


def _experiment(encoder: TextEncoder, found: Sequence[Keyword]) -> Experiment:
    """The settings of a keyword run that could have made it."""
    words = tuple(one.text for one in found)
    return dataclasses.replace(
        encoder.experiment,
        model=filter_bank(encoder.task.filters, [len(one.phones) for one in found]),
        task=Spotting(words),
        recipe=RECIPE,
        init_from=None,
    )


def _written(
    out: Path,
    source: Run,
    encoder: TextEncoder,
    found: Sequence[Keyword],
    priors: np.ndarray,
    program: Program,
    rate: float,
) -> Run:
    import shutil

    from aqtaudio.program.tflite import to_tflite

    with new_folder(out) as folder:
        save_json(_experiment(encoder, found), folder / "config.json")
        save_json(encoder.experiment, folder / CONFIG)
        programs.save(program, folder / "program.npz")
        write(folder / "model.tflite", to_tflite(program))
        for name in (COMPANIONS, negative_codes.NAME):
            if (source.path / name).exists():
                shutil.copy(source.path / name, folder / name)
        taps = {str(n): one.answer.taps for n, one in enumerate(found)}
        write_arrays(folder / FILTERS, taps | {PRIORS: priors})
        lines = [
            {
                "text": one.text, "understood": one.understood, "phones": one.phones,
                "filter": one.answer.filter, "path": one.answer.path, "found": one.found,
                "refined": one.refined,
            }
            for one in found
        ]  # fmt: skip
        told = {"operations": len(encoder.program.operations), "keywords": lines}
        write_json(folder / ENROLLED, told)
        words = {one.text: dataclasses.asdict(one.settings) | {"found": one.found} for one in found}
        threshold = max(one.settings.threshold for one in found)
        asked = {"threshold": threshold, "asked_false_alarms_per_hour": rate, "words": words}
        stored.write(folder, asked)
    return Run(out)


def _value(
    run: Run,
    found: Sequence[Keyword],
    bank: Program,
    program: Program,
    sound: NegativeCodes | None,
    rate: float,
) -> dict[str, Any]:
    whole, filters = cost(program), cost(bank)
    return {
        "detector": str(run.path),
        "file_bytes": len(run.model),
        "false_alarms_per_hour": rate,
        "background_hours": sound.hours if sound else None,
        "macs_per_s": _macs_per_s(whole, run.experiment.setup.block_ms),
        "filter_macs_per_s": _macs_per_s(filters, run.experiment.setup.block_ms),
        "filter_bytes": filters.total("weight_bytes"),
        "weight_bytes": whole.total("weight_bytes"),
        "keywords": [
            {
                "text": one.text,
                "understood": one.understood,
                "phones": len(one.phones),
                "threshold": one.settings.threshold,
                "found": one.found,
                "refined": one.refined,
            }
            for one in found
        ],
    }


def _macs_per_s(of: Cost, block_ms: float) -> float:
    return of.total("macs") * 1000 / block_ms
