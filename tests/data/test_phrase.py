"""Dictionaries, and phrases understood: who knows which word, what is told, what is refused."""

import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.data import dictionary, pronunciation
from aqtaudio.data.phones import INVENTORY
from aqtaudio.data.phrase import understood
from aqtaudio.errors import BadInput

# Pairs that are one phone when written in IPA without a break, and R after an r-coloured vowel.
# Whose IPA is another phone's too; unstressed AH before UH is OW as the British say it.
_MERGE = {("T", "SH"), ("D", "ZH"), ("ER", "R"), ("AO", "IH"), ("AH", "UH")}


@pytest.fixture
def known(dictionary_file):
    return dictionary.read(dictionary_file)


@pytest.fixture
def no_espeak(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)


def test_a_dictionary_keeps_variants_in_their_order(known):
    assert known.words["a"] == (("AH",), ("EY",))
    assert known.words["computer"] == (tuple("K AH M P Y UW T ER".split()),)
    assert known.words["suitor"] == (("S", "UW", "T", "ER"),)
    assert [" ".join(v) for v in known.words["read"]] == ["R EH D", "R IY D"]
    assert not {"u.s.", "x", "don't"} & set(known.ordinary) and "a" in known.ordinary


def test_familiar_words_have_inflections_or_are_such(known):
    assert {"come", "comes", "commute", "commuted", "commuter", "view"} <= known.familiar
    assert not {"cum", "jervis", "pewter"} & known.familiar
    assert known.spelling(("K", "AH", "M")) == "come" and known.spelling(("K", "AH")) == ""
    assert known.spelling(("R", "IY", "D")) == ""  # not the usual pronunciation of read


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("word W QQ", "line 2: 'QQ' is no ARPAbet; allowed: AA"),
        ("word W ER3", "'ER3'"),
        ("word", "line 2: 'word' has no phones"),
    ],
)
def test_lines_that_are_none(tmp_path, line, said):
    file = tmp_path / "d"
    file.write_text(f"hey HH EY\n{line}\n")
    with pytest.raises(BadInput, match=said):
        dictionary.read(file)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(BadInput, match="nowhere cannot be read"):
        dictionary.find(tmp_path / "nowhere")
    (tmp_path / "empty").write_text(";;; nothing\n\n")
    with pytest.raises(BadInput, match="holds no word"):
        dictionary.read(tmp_path / "empty")


def test_without_the_package_there_is_none(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert dictionary.find() is None


@pytest.mark.slow
def test_the_package_has_one():
    known = dictionary.find()
    if known is None:
        pytest.skip("no pocketsphinx")
    assert len(known.words) > 100_000
    assert known.spelling(("K", "AH", "M")) == "come" and "commuter" in known.familiar


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Hey, computer!", "hey computer -> HH EY . K AH M P Y UW T ER"),
        ("view-glass", "view glass -> V Y UW . G L AE S"),
        ("jarvis", "jarvis -> JH AA R V AH S or JH AA R V IH S"),
        ("don’t go", "don't go -> D OW N T . G OW"),
        ("hey /N AA B UW/", "hey /N AA B UW/ -> HH EY . N AA B UW; second word told"),
        ("/hˈeɪ nˈɑːbuː/", "/HH EY/ /N AA B UW/ -> HH EY . N AA B UW; first and second words told"),
    ],
)
def test_one_line_says_what_was_understood(known, no_espeak, text, line):
    assert understood(text, known).line == line


def test_a_pronunciation_may_be_told(known, no_espeak):
    for written in ("HH EY1 | N AA1 B UW0", "hˈeɪ nˈɑːbuː", "/heɪ nɑbu/"):
        phrase = understood("hey nabu", None, written)
        assert phrase.phones == (("HH", "EY"), ("N", "AA", "B", "UW"))
        assert phrase.line.endswith("first and second words told")
    assert understood("a a", known).pronunciations[-1] == (("EY",), ("EY",))


def test_unknown_words_are_guessed(known):
    pytest.importorskip("espeakng_loader")
    line = "hey nabu -> HH EY . N AA B UW; second word guessed"
    assert understood("hey nabu", known).line == line
    siri = understood("hurry siri", None)
    assert siri.line == "hurry siri -> HH ER IY . S IH R IY; first and second words guessed"
    with pytest.raises(BadInput, match="no pronunciation of 'أوقف' in phones of English"):
        understood("أوقف", known)


def test_what_engines_are_told(known, no_espeak):
    assert understood("hey computer", known).spoken.phones == ""
    told = understood("computer /N AA B UW/", known).spoken
    assert told.text == "computer /N AA B UW/" and told.phones == "kəmpjˈuːtɚ nˈɑːbuː"


@pytest.mark.parametrize(
    ("text", "written", "said"),
    [
        ("", "", "no letter or digit"),
        ("route 66", "", "'66' has digits; allowed: numbers as words"),
        ("stop \U0001f600", "", "nobody speaks"),
        ("a " * 40, "", "a phrase of 40 words; allowed: 1 to 10"),
        ("/HH QQ/", "", "'QQ' is no ARPAbet"),
        ("/hʘ/", "", "'ʘ' is no phone of English"),
        ("/s/", "", "without a vowel"),
        ("hey nabu", "N AA B UW", "has 2 words, its pronunciation 'N AA B UW' 1"),
        ("hey nabu", "", "no pronunciation of 'nabu'; what helps: /PHONES/.*not installed"),
    ],
)
def test_what_is_not_understood(known, no_espeak, text, written, said):
    with pytest.raises(BadInput, match=said):
        understood(text, known, written)


def test_without_anything_one_line_says_what_helps(no_espeak):
    with pytest.raises(BadInput, match="a dictionary .pip install .* or espeak-ng's guess"):
        understood("hey", None)


@given(st.lists(st.sampled_from(INVENTORY), min_size=1, max_size=8).map(tuple))
def test_arpabet_to_ipa_and_back(phones):
    assert pronunciation.arpabet(" ".join(phones)) == (phones,)
    if not _MERGE & set(zip(phones, phones[1:], strict=False)):
        assert pronunciation.arpabet(pronunciation.ipa(" ".join(phones))) == (phones,)
