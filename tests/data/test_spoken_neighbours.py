"""Neighbours that voices speak: none is read as the text that it is a neighbour of."""

import sys

import pytest

from aqtaudio.data import dictionary, espeak
from aqtaudio.data.phrase import understood
from aqtaudio.data.spoken_neighbours import spoken_neighbours
from aqtaudio.data.spoken_texts import spoken
from aqtaudio.errors import BadInput


@pytest.fixture
def known(dictionary_file):
    return dictionary.read(dictionary_file)


def reads(monkeypatch, **told):
    """espeak-ng, if it read some texts in its own way, and the others as no English has it."""

    def phones(texts, language):
        return [told.get(text, "ʘ") for text in texts]

    monkeypatch.setattr(espeak, "phones", phones)


def texts(neighbourhood):
    return {each.phrase.text for each in neighbourhood.neighbours}


def test_how_a_voice_reads_the_text_is_the_text(known, monkeypatch):
    reads(monkeypatch)
    (found,) = spoken_neighbours([spoken("pewter")], 400, known)
    assert "/P Y AO T ER/" in texts(found) and "suitor" in texts(found)
    reads(monkeypatch, pewter="pjˈɔːtə")
    (found,) = spoken_neighbours([spoken("pewter")], 400, known)
    assert "/P Y AO T ER/" not in texts(found) and "suitor" in texts(found)


def test_a_neighbour_that_is_read_as_the_text_is_left_out(known, monkeypatch):
    reads(monkeypatch, suitor="pjˈuːtɚ")
    (found,) = spoken_neighbours([spoken("pewter")], 50, known)
    assert "suitor" not in texts(found) and "commuter" in texts(found)
    assert found.phrase == understood("pewter", known)


def test_what_is_told_is_not_read(known, monkeypatch):
    reads(monkeypatch)
    (found,) = spoken_neighbours([spoken("nabu", "N AA1 B UW0")], 5, known)
    assert found.text == "nabu" and len(found.neighbours) == 5


def test_they_need_espeak(known, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(BadInput, match="espeakng_loader is not installed"):
        spoken_neighbours([spoken("pewter")], 5, known)
