"""Kokoro-82M as an engine: a neural voice whose speakers are vectors, so that they can be mixed."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data import espeak, kokoro_files, voice_session
from aqtaudio.data.speech_engine import Manner
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.errors import BadInput

RATE_HZ = 24000
MIXED_SHARE = 0.7  # of speakers: two voices of the language
PINCH_SHARE = 0.3  # of speakers: some of a foreign voice, which is an accent
MOST_PHONES = 510
# First letters of voices' names, by language; a voice of another language is foreign.
_HOME = {"en": "ab", "es": "e", "fr": "f", "hi": "h", "it": "i", "ja": "j", "pt": "p", "cmn": "z"}
_ENDS = ".!?…"
_PART = re.compile(r"(?:(\d*\.?\d+)\*)?([^*+\s]+)")


class Kokoro:
    """Speaks with a Kokoro-82M file. espeak-ng tells the phones.

    Raises BadInput where files are missing or are not Kokoro's, or for an unknown voice.
    """

    name = "kokoro"
    most_speakers = 10_000

    def __init__(
        self, folder: Path | None = None, voices: Sequence[str] = (), language: str = "en-us"
    ):
        """Finds the files; the model is loaded at the first word.

        Args:
          folder: with the files, as `kokoro_files.find` takes it.
          voices: the single voices to use; none: all of the language, and a pinch of the others.
          language: of the texts, as espeak-ng calls it.
        """
        self._files = kokoro_files.find(folder)
        every = tuple(self._files.styles)
        for voice in voices:
            if voice not in every:
                raise BadInput(f"voice {voice!r} is not Kokoro's; allowed: {', '.join(every)}")
        letters = _HOME.get(language.split("-")[0], "")
        home = tuple(voice for voice in every if voice[0] in letters)
        self.voices = tuple(dict.fromkeys(voices)) or home or every
        self.foreign = () if voices else tuple(v for v in every if v not in self.voices)

    def identity(self) -> dict[str, str]:
        """Hashes of the model, the voices and the phone table."""
        styles = self._files.styles
        return {
            "engine": self.name,
            "model": voice_session.digest(self._files.model),
            "voices": " ".join(self.voices),
            "styles": voice_session.digest(
                *(styles[voice].tobytes() for voice in (*self.voices, *self.foreign))
            ),
            "phones": voice_session.digest(repr(sorted(self._files.phone_ids.items())).encode()),
        }

    def prepared(self, texts: Sequence[SpokenText], language: str) -> list[str]:
        """The texts as phones of the table, an end after the last."""
        read = espeak.phones([each.text for each in texts], language)
        return [self._phones(each, said) for each, said in zip(texts, read, strict=True)]

    def _phones(self, each: SpokenText, read: str) -> str:
        known = self._files.phone_ids
        for phone in each.phones:
            if phone not in known:
                raise BadInput(
                    f"text {each.text!r}: phone {phone!r} is not Kokoro's; allowed: "
                    f"{' '.join(sorted(known))}"
                )
        phones = "".join(phone for phone in each.phones or read if phone in known)
        if not any(phone.isalpha() for phone in phones):
            raise BadInput(f"text {each.text!r} has no phones that Kokoro knows")
        end = each.text[-1] if each.text[-1] in _ENDS and each.text[-1] in known else "."
        phones += end if end in known else ""
        if len(phones) > MOST_PHONES:
            raise BadInput(
                f"text {each.text[:40]!r}... has {len(phones)} phones; allowed: {MOST_PHONES}"
            )
        return phones

    def compose(
        self, own: Sequence[str], foreign: Sequence[str], turn: int, rng: np.random.Generator
    ) -> str:
        """The voices in turns, most of them mixed with another one, some with a foreign one."""
        first, shares = own[turn % len(own)], {}
        others = [voice for voice in own if voice != first]
        mixed, pinched = rng.random() < MIXED_SHARE, rng.random() < PINCH_SHARE
        shares[first] = 100
        if mixed and others:
            part = int(rng.integers(25, 76))
            shares = {first: 100 - part, str(rng.choice(others)): part}
        if pinched and foreign:
            pinch = int(rng.integers(10, 51))
            shares = {voice: share * (100 - pinch) // 100 for voice, share in shares.items()}
            shares[str(rng.choice(foreign))] = 100 - sum(shares.values())
        if len(shares) == 1:
            return first
        return "+".join(f"{share / 100:g}*{voice}" for voice, share in shares.items())

    def style(self, voice: str) -> np.ndarray:
        """A voice, or a sum of voices that weighs 1, as float32 [510, 256].

        Raises BadInput for an unknown voice, and for weights that are none.
        """
        parts = [_PART.fullmatch(part) for part in voice.split("+")]
        mix = [(float(part[1] or 1), part[2]) for part in parts if part]
        known = all(name in self._files.styles for _, name in mix)
        if len(mix) < len(parts) or not known or abs(sum(weight for weight, _ in mix) - 1) > 1e-6:
            raise BadInput(
                f"voice {voice!r}; allowed: a voice, or a sum whose weights are 1 together, "
                f"0.6*A+0.4*B, of {', '.join(self._files.styles)}"
            )
        styles = [np.float32(weight) * self._files.styles[name] for weight, name in mix]
        return np.stack(styles).sum(axis=0)

    def say(self, prepared: str, manner: Manner) -> tuple[np.ndarray, float]:
        """float32 [N]; a pitch of p is p times as many samples a second, said as much slower."""
        ids = [self._files.phone_ids[phone] for phone in prepared]
        feeds = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": self.style(manner.voice)[len(ids) - 1][None],
            "speed": np.array([manner.speed / manner.pitch], np.float32),
        }
        (samples,) = self._session.run(None, feeds)
        return np.ravel(samples).astype(np.float32), RATE_HZ * manner.pitch

    @functools.cached_property
    def _session(self) -> Any:
        opened = voice_session.session(self._files.model, "Kokoro's model")
        voice_session.require_ports(opened, {"tokens", "style", "speed"}, "the model", "Kokoro's")
        return opened
