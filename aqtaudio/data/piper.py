"""Piper's voices as an engine: one VITS file with one speaker or many."""

import functools
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data import espeak, piper_noise, voice_session
from aqtaudio.data.speech_engine import Manner
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.errors import BadInput

PAD, START, END = "_", "^", "$"
_PORTS = {"input", "input_lengths", "scales"}


class Piper:
    """Speaks with FILE.onnx and FILE.onnx.json beside it. espeak-ng tells the phones.

    Raises BadInput where a file is missing or is not Piper's, or for an unknown voice.
    """

    name = "piper"
    foreign = ()

    def __init__(self, file: Path, voices: Sequence[str] = ()):
        """Reads the file's settings and noise; the session is opened at the first word.

        Args:
          file: the ONNX file.
          voices: of its speakers, the ones to use; none: all.
        """
        self._file = Path(file)
        self._content = voice_session.read(self._file, "Piper's voice")
        self._config = voice_session.read(Path(f"{file}.json"), "the settings of Piper's voice")
        try:
            config = json.loads(self._config)
            self._rate_hz = float(config["audio"]["sample_rate"])
            self._language = str(config["espeak"]["voice"])
            scales = config["inference"]
            self._scales = [float(scales[n]) for n in ("noise_scale", "length_scale", "noise_w")]
            self._ids = {p: [int(n) for n in ids] for p, ids in config["phoneme_id_map"].items()}
            speakers = {str(k): int(v) for k, v in (config.get("speaker_id_map") or {}).items()}
            count = int(config.get("num_speakers", 1))
            assert {PAD, START, END} <= set(self._ids) and self._rate_hz > 0
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
            raise BadInput(f"{file}.json is not the settings of a voice of Piper's") from error
        if not speakers:
            speakers = {str(n): n for n in range(count)} if count > 1 else {self._file.stem: 0}
        self._speakers, self._many = speakers, count > 1
        for voice in voices:
            if voice not in speakers:
                raise BadInput(f"voice {voice!r} is not in {file}; allowed: {', '.join(speakers)}")
        self.voices = tuple(dict.fromkeys(voices)) or tuple(speakers)

    @property
    def most_speakers(self) -> int:
        """As many as the file has."""
        return len(self.voices)

    def identity(self) -> dict[str, str]:
        """Hashes of the file and its settings."""
        return {
            "engine": self.name,
            "model": voice_session.digest(self._content),
            "settings": voice_session.digest(self._config),
            "voices": " ".join(self.voices),
        }

    def prepared(self, texts: Sequence[SpokenText], language: str) -> list[str]:
        """The texts as phones of the file, in the file's own language whatever `language` says."""
        read = espeak.phones([each.text for each in texts], self._language)
        return [self._phones(each, said) for each, said in zip(texts, read, strict=True)]

    def _phones(self, each: SpokenText, read: str) -> str:
        known = set(self._ids) - {PAD, START, END}
        phones = []
        for phone in unicodedata.normalize("NFD", each.phones or read):
            if phone in known:
                phones.append(phone)
            elif each.phones:
                raise BadInput(
                    f"text {each.text!r}: phone {phone!r} is not in {self._file}.json; allowed: "
                    f"{' '.join(sorted(known))}"
                )
        if not any(phone.isalpha() for phone in phones):
            raise BadInput(f"text {each.text!r} has no phones that {self._file} knows")
        end = each.text[-1] if each.text[-1] in ".!?" else "."
        return "".join(phones) + (end if end in known else "")

    def compose(
        self, own: Sequence[str], foreign: Sequence[str], turn: int, rng: np.random.Generator
    ) -> str:
        """The speakers in turns."""
        return own[turn % len(own)]

    def say(self, prepared: str, manner: Manner) -> tuple[np.ndarray, float]:
        """float32 [N]; a pitch of p is p times as many samples a second, said as much slower."""
        if manner.voice not in self._speakers:
            raise BadInput(f"voice {manner.voice!r}; allowed: {', '.join(self._speakers)}")
        ids = [*self._ids[START], *self._ids[PAD]]
        for phone in prepared:
            ids += [*self._ids[phone], *self._ids[PAD]]
        ids += self._ids[END]
        noise, length, noise_w = self._scales
        scales = [noise, length * manner.pitch / manner.speed, noise_w]
        opened, random_inputs = self._opened
        rng = np.random.default_rng(manner.seed)
        feeds = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
            **{name: piper_noise.draw(rng) for name in random_inputs},
        }
        if self._many:
            feeds["sid"] = np.array([self._speakers[manner.voice]], np.int64)
        (samples,) = opened.run(None, feeds)
        return np.ravel(samples).astype(np.float32), self._rate_hz * manner.pitch

    @functools.cached_property
    def _opened(self) -> tuple[Any, list[str]]:
        model, random_inputs = piper_noise.as_inputs(self._content, self._file)
        opened = voice_session.session(model, self._file)
        ports = _PORTS | ({"sid"} if self._many else set()) | set(random_inputs)
        voice_session.require_ports(opened, ports, self._file, "a voice of Piper's")
        return opened, random_inputs
