"""What a file is that somebody took for a TFLite file."""

_STARTS = (
    (b"", "it is empty; get it again"),
    (
        b"version https://git-lfs",
        "it is a Git LFS pointer to one; get the file itself with `git lfs pull`",
    ),
    (b"PK\x03\x04", "it is a zip archive (a .task bundle?); unpack it and check the .tflite in it"),
    (b"\x1f\x8b", "it is gzip; unpack it"),
    (b"\x89HDF", "it is HDF5 (Keras); convert it to TFLite"),
    (b"<", "it is a web page or XML; get the file itself"),
    (b"RIFF", "it is a WAV file"),
)


def what_it_is(content: bytes) -> str:
    """In words, with what to do; by its first bytes."""
    for start, words in _STARTS:
        if content.startswith(start) if start else not content:
            return words
    return "bytes 4 to 8 are not 'TFL3'; check a .tflite file, whole and unpacked"
