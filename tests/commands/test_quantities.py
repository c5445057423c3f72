"""Sizes and counts as people write them."""

import pytest

from aqtaudio.commands.quantities import count, size_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("100B", 100),
        ("64KB", 65536),
        ("64kb", 65536),
        ("64 KiB", 65536),
        ("64k", 65536),
        ("1.5MB", 1572864),
        ("1GiB", 2**30),
    ],
)
def test_sizes(text: str, size: int):
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("3M", 3_000_000), ("2.5k", 2500), ("1e6", 1_000_000)]
)
def test_counts(text: str, number: int):
    assert count(text) == number


@pytest.mark.parametrize(
    "text", ["", "KB", "-1", "0", "64XB", "6 4", "1.5.2", "nan", "inf", "0.2", "1e999"]
)
def test_what_is_no_quantity(text: str):
    for parse in (size_bytes, count):
        with pytest.raises(ValueError, match="is not a"):
            parse(text)


def test_bytes_are_no_unit_of_counts():
    with pytest.raises(ValueError, match="is not a count"):
        count("3MB")
