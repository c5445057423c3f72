"""espeak-ng in a process of its own: a script that `espeak` starts, standard library only.

Arguments: path of libespeak-ng, path of its data. Standard input: one JSON object per line with
text, voice, rate, pitch, range and seed. Standard output: the sample rate as a 32-bit number, then
for each line the number of samples and the samples, 16-bit.
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
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def say(espeak: ctypes.CDLL, request: dict[str, Any]) -> None:
    """Says one text; the samples arrive at the callback."""
    if espeak.espeak_SetVoiceByName(request["voice"].encode()):
        sys.exit(f"espeak-ng has no voice {request['voice']!r}")
    for name, number in PARAMETERS.items():
        espeak.espeak_SetParameter(number, request[name], 0)
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(request["seed"]))
    text = request["text"].encode() + b"\0"
    if espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, CHARS_UTF8, None, None):
        sys.exit(f"espeak-ng cannot say {request['text']!r}")


def main(library: str, data: str) -> None:
    """Says every line of standard input."""
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
    out = sys.stdout.buffer
    out.write(struct.pack("<i", rate_hz))
    for line in sys.stdin.buffer:
        spoken.clear()
        say(espeak, json.loads(line))
        out.write(struct.pack("<i", len(spoken) // 2) + spoken)


if __name__ == "__main__":
    main(*sys.argv[1:])
