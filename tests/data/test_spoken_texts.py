"""Texts to speak and their pronunciations: what is read, what is refused."""

import numpy as np
import pytest

from aqtaudio.data import pronunciation, spoken_texts
from aqtaudio.data.espeak import Utterance, phones, speak
from aqtaudio.data.espeak_engine import Espeak
from aqtaudio.data.spoken_texts import SpokenText, spoken
from aqtaudio.errors import BadInput


def test_arpabet_becomes_ipa():
    assert pronunciation.ipa("HH AH0 L OW1") == "həlˈoʊ"
    assert pronunciation.ipa("HH EY1 | K AH0 M P Y UW1 T ER0") == "hˈeɪ kəmpjˈuːtɚ"
    assert pronunciation.ipa("AH1") == "ˈʌ" and pronunciation.ipa("ER1 ER0") == "ˈɜːɚ"


def test_ipa_is_written_one_way():
    assert pronunciation.ipa("/grˈiːn  t͡ʃiː/") == "ɡɹˈiːn tʃiː"
    assert pronunciation.ipa("kəm.pju:") == "kəmpjuː"


@pytest.mark.parametrize("written", ["HH QQ", "HH1 OW1", "OW3", "OWW1", "", " ", "//"])
def test_what_is_no_pronunciation_is_refused(written):
    with pytest.raises(BadInput, match="pronunciation"):
        pronunciation.ipa(written)


def test_espeak_lacks_a_phone():
    with pytest.raises(BadInput, match="'ʘ'; allowed"):
        pronunciation.mnemonics("ʘa")


@pytest.mark.parametrize("word", ["computer", "judge", "measure", "thinking", "snowboy", "church"])
def test_mnemonics_sound_like_the_word(word):
    pytest.importorskip("espeakng_loader")
    (said,) = phones([word], "en-us")
    lengths = [
        len(speak([Utterance(text, "en-us", "f3")])[0])
        for text in (word, pronunciation.mnemonics(said))
    ]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.03)


def test_a_pronunciation_is_what_espeak_says():
    pytest.importorskip("espeakng_loader")
    engine = Espeak(("f3",))
    texts = [spoken("cat"), spoken("cat", "D AO1 G Z"), spoken("dogs")]
    prepared = engine.prepared(texts, "en-us")
    assert prepared[1].startswith("[[")
    cat, told, dogs = (speak([Utterance(text, "en-us", "f3")])[0] for text in prepared)
    assert len(told) == pytest.approx(len(dogs), rel=0.1)
    assert len(cat) < 0.9 * len(told) and np.abs(told).max() > 0.05


def test_phones_of_clauses_and_digits():
    pytest.importorskip("espeakng_loader")
    assert phones(["now! 23", "..."], "en-us") == ["nˈaʊ, twˈɛnti θɹˈiː", ""]
    assert phones(["bath"], "en-us") != phones(["bath"], "en-gb")


@pytest.mark.parametrize("text", ["stop", "hey computer", "23", "Don't, 50% off!", "أوقف", "été"])
def test_words_phrases_and_sentences_are_texts(text):
    assert spoken(f" {text} ") == SpokenText(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no letter or digit"),
        (" ", "no letter or digit"),
        ("?!", "no letter or digit"),
        ("stop 😀", "'😀', which nobody speaks"),
        ("stop\tgo", r"'\\t'"),
        ("stop\u200bgo", "nobody speaks"),
        ("stop\x00", "nobody speaks"),
    ],
)
def test_what_is_no_text_is_refused(text, said):
    with pytest.raises(BadInput, match=said):
        spoken(text)


def test_a_file_of_texts(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("stop\n\nhey  computer\nsnowboy\tS N OW1 B OY2\n", encoding="utf-8")
    assert spoken_texts.read(file) == [
        *(SpokenText("stop"), SpokenText("hey computer")),
        SpokenText("snowboy", "snˈoʊbˌɔɪ"),
    ]
    for content, said in (
        ("stop\nsnowboy\tQQ", "line 2: pronunciation 'QQ'"),
        ("stop\t", "line 1: an empty pronunciation"),
        ("a\tb\tc", "line 1"),
        ("\n", "holds no text"),
        ("😀", "line 1"),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(BadInput, match=said):
            spoken_texts.read(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="UTF-8"):
        spoken_texts.read(file)
    with pytest.raises(BadInput, match="cannot be read"):
        spoken_texts.read(tmp_path / "none")


def test_every_text_has_a_folder_of_its_own():
    texts = [
        *("stop", "Stop!", "a" * 60, "a" * 59 + "b", "hey computer"),
    ]
    names = spoken_texts.names([*map(SpokenText, texts), SpokenText("snowboy", "snˈ")])
    assert len(set(names)) == 6 and names[4:] == ["hey_computer", "snowboy"]
    assert all("/" not in name and len(name.encode()) < 200 for name in names)


def test_texts_of_an_editor_that_writes_a_mark_and_other_line_ends(tmp_path):
    (tmp_path / "texts.txt").write_bytes(b"\xef\xbb\xbfhey there\r\n\r\ngood bye\r\n")
    assert [each.text for each in spoken_texts.read(tmp_path / "texts.txt")] == [
        "hey there",
        "good bye",
    ]
