"""espeak-ng in a process of its own: a script that `espeak` starts, standard library only.

Arguments: path of libespeak-ng, path of its data, `speech` or `phones`. Standard input: one JSON
object per line with text, voice, rate, pitch, range and seed, or with text and voice. Standard
output of speech: the sample rate as a 32-bit number, then for each line the number of samples and
the samples, 16-bit. Of phones: for each line the IPA of its clauses, a JSON list of texts.
"""

import ctypes
import json
import os
import struct
import sys
from typing import Any

# Names and values from espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4}
CHARS_UTF8 = 1
MNEMONICS = 0x100  # what stands in [[ ]] is phonemes
IPA = 2
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def say(espeak: ctypes.CDLL, request: dict[str, Any]) -> None:
    """Says one text; the samples arrive at the callback."""
    set_voice(espeak, request["voice"])
    for name, number in PARAMETERS.items():
        espeak.espeak_SetParameter(number, request[name], 0)
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(request["seed"]))
    text = request["text"].encode() + b"\0"
    flags = CHARS_UTF8 | MNEMONICS
    if espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, flags, None, None):
        sys.exit(f"espeak-ng cannot say {request['text']!r}")


def phones(espeak: ctypes.CDLL, request: dict[str, Any]) -> list[str]:
    """How it would say a text: IPA of each clause."""
    set_voice(espeak, request["voice"])
    espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
    text = ctypes.create_string_buffer(request["text"].encode())
    left, clauses = ctypes.c_void_p(ctypes.addressof(text)), []
    while left.value:
        clause = espeak.espeak_TextToPhonemes(ctypes.byref(left), CHARS_UTF8, IPA)
        clauses.append(clause.decode().strip())
    return [clause for clause in clauses if clause]


def set_voice(espeak: ctypes.CDLL, voice: str) -> None:
    """Chooses language and variant."""
    if espeak.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"espeak-ng has no voice {voice!r}")


def main(library: str, data: str, wanted: str) -> None:
    """Says every line of standard input, or how it would say it."""
    spoken = bytearray()

    @CALLBACK
    def keep(samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            spoken.extend(ctypes.string_at(samples, 2 * count))
        return 0

    espeak = ctypes.CDLL(library)
    os.chdir(data)  # espeak-ng cuts paths off after 160 bytes
    rate_hz = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, b".", INITIALIZE_DONT_EXIT)
    if rate_hz <= 0:
        sys.exit(f"espeak-ng does not start with the data in {data}")
    espeak.espeak_SetSynthCallback(keep)
    if wanted == "phones":
        for line in sys.stdin.buffer:
            print(json.dumps(phones(espeak, json.loads(line))))
        return
    out = sys.stdout.buffer
    out.write(struct.pack("<i", rate_hz))
    for line in sys.stdin.buffer:
        spoken.clear()
        say(espeak, json.loads(line))
        out.write(struct.pack("<i", len(spoken) // 2) + spoken)


if __name__ == "__main__":
    main(*sys.argv[1:])
