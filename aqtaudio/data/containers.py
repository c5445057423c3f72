"""Which container a file begins with, by its first bytes."""

_BEGINNINGS = {
    b"RIFF": "WAV",
    b"RIFX": "big-endian WAV",
    b"RF64": "RF64",
    b"BW64": "BW64",
    b"riff": "Wave64",
    b"FORM": "AIFF",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"caff": "CAF",
    b".snd": "AU",
    b"dns.": "AU",
    b"ID3": "MP3",
    b"NIST_1A": "SPHERE",
    b"ajkg": "Shorten",
    b"wvpk": "WavPack",
    b"MAC ": "Monkey's Audio",
    b"\x1aE\xdf\xa3": "Matroska",
    b"#!AMR": "AMR",
    b"Creative Voice File": "VOC",
    b"\x30\x26\xb2\x75": "ASF",
    b"2BIT": "AVR",
    b"\x64\xa3\x01\x00": "IRCAM",
    b"\x64\xa3\x02\x00": "IRCAM",
    b"\x64\xa3\x03\x00": "IRCAM",
    b"\x00\x01\xa3\x64": "IRCAM",
    b"\x00\x02\xa3\x64": "IRCAM",
    b"\x00\x03\xa3\x64": "IRCAM",
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "ZIP",
}
_KBITS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer III, by version, from index 1 on (ISO/IEC 11172-3, 13818-3)."""
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def container(start: bytes) -> str:
    """Name of the container; empty where the bytes begin none that is known."""
    for beginning, name in _BEGINNINGS.items():
        if start.startswith(beginning):
            return name
    if start[4:8] == b"ftyp":
        return "MP4"
    return "MP3" if _is_mpeg(start) else ""


def _is_mpeg(start: bytes) -> bool:
    """Whether two frames of layer III follow each other: two bytes alone may well be a sample."""
    length = _frame_bytes(start[:4])
    return bool(length) and bool(_frame_bytes(start[length : length + 4]))


def _frame_bytes(header: bytes) -> int:
    """Length of the frame that four bytes begin; 0 where they begin none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, kbits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or not 1 <= kbits <= 14 or rate == 3:
        return 0
    samples = 144 if version == 3 else 72
    kbits_per_second = _KBITS[1 if version == 3 else 2][kbits - 1]
    return samples * 1000 * kbits_per_second // _RATES_HZ[version][rate] + (header[2] >> 1 & 1)
