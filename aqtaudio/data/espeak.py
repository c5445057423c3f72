"""Speech from espeak-ng (GPL-3, through the optional espeakng_loader; loaded only when called).

espeak-ng keeps global state: what it said before changes what it says next, and a crash ends its
process. So each call starts it afresh, in a process of its own.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput

# What people call it and what espeak-ng calls it.
ALIASES = {"en-gb": "en"}
# Variants of espeak-ng that are different people; its whispers, robots and near copies are not.
VARIANTS = tuple(
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael "
    "Mike Nguyen Reed adam anika antonio aunty belinda benjamin boris caleb david ed edward f1 f2 "
    "f3 f4 f5 grandma grandpa gustave ian iven john kaukovalta klatt klatt3 klatt4 linda m1 m2 m3 "
    "m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro "
    "shelby steph travis victor zac".split()
)
_PROCESS = Path(__file__).with_name("espeak_process.py")


@dataclasses.dataclass(frozen=True)
class Utterance:
    """Something to say, and how.

    Attributes:
      text: in any script that the language reads; [[ ]] around espeak-ng's own phonemes.
      language: of espeak-ng, such as "en-us", "de".
      variant: of its voice, such as "f3".
      words_per_minute: 80 to 450.
      pitch: 0 to 100.
      pitch_range: 0 (monotone) to 100.
      seed: of the voice's random parts.
    """

    text: str
    language: str
    variant: str
    words_per_minute: int = 160
    pitch: int = 50
    pitch_range: int = 50
    seed: int = 0


def speak(utterances: Sequence[Utterance], sample_rate_hz: int = 16000) -> list[np.ndarray]:
    """Says each utterance; the same list gives the same samples.

    Returns:
      float32 [samples] in [-1, 1] each, without the silence around it (empty: nothing was said).

    Raises:
      BadInput: espeakng_loader is not installed, an unknown language, or espeak-ng failed.
    """
    languages = {utterance.language for utterance in utterances}
    stream = _started("speech", languages, [_request(utterance) for utterance in utterances])
    return _received(stream, len(utterances), sample_rate_hz)


def phones(texts: Sequence[str], language: str) -> list[str]:
    """How each text is said in a language: IPA with stress marks, clauses apart by commas.

    Empty: nothing would be said. Raises BadInput as `speak` does.
    """
    voice = ALIASES.get(language, language)
    requests: list[dict[str, str | int]] = [{"text": text, "voice": voice} for text in texts]
    lines = _started("phones", {language}, requests).decode().splitlines()
    return [", ".join(json.loads(line)) for line in lines]


def _started(wanted: str, languages: set[str], requests: Sequence[dict[str, str | int]]) -> bytes:
    """What the process answers."""
    library, data = _installed()
    _check_languages(languages, data)
    done = subprocess.run(
        [sys.executable, "-I", str(_PROCESS), library, data, wanted],
        input="".join(json.dumps(request) + "\n" for request in requests).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"exit status {done.returncode}"
        raise BadInput(f"speech synthesis failed: {reason}")
    return done.stdout


def _installed() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise BadInput("espeakng_loader is not installed: pip install aqtaudio[synth]") from error
    return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())


def _check_languages(languages: set[str], data: str) -> None:
    known = {file.name.lower() for file in (Path(data) / "lang").rglob("*") if file.is_file()}
    unknown = sorted(languages - known - set(ALIASES))
    if unknown:
        allowed = ", ".join(sorted(known | set(ALIASES)))
        raise BadInput(f"language {unknown[0]!r} is not in espeak-ng; allowed: {allowed}")


def _request(utterance: Utterance) -> dict[str, str | int]:
    language = ALIASES.get(utterance.language, utterance.language)
    return {
        "text": utterance.text,
        "voice": f"{language}+{utterance.variant}",
        "rate": utterance.words_per_minute,
        "pitch": utterance.pitch,
        "range": utterance.pitch_range,
        "seed": utterance.seed,
    }


def _received(stream: bytes, count: int, sample_rate_hz: int) -> list[np.ndarray]:
    words = np.frombuffer(stream, "<i2")
    rate_hz, at = int(words[:2].view("<i4")[0]), 2
    spoken = []
    for _ in range(count):
        length = int(words[at : at + 2].copy().view("<i4")[0])
        samples = to_float(words[at + 2 : at + 2 + length])
        at += 2 + length
        spoken.append(soxr.resample(_trimmed(samples), rate_hz, sample_rate_hz))
    return spoken


def _trimmed(samples: np.ndarray) -> np.ndarray:
    audible = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[audible[0] : audible[-1] + 1] if len(audible) else samples[:0]
