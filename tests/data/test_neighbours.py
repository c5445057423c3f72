"""Neighbours: never the phrase itself, what their kind says, nearest first, always the same."""

import collections

import pytest
from small_dictionary import TEXT

from aqtaudio.data import accents, dictionary
from aqtaudio.data.neighbours import NEAREST_NON_WORD, Finder
from aqtaudio.data.phones import UNIT, distance, joined
from aqtaudio.data.phrase import TOLD, Phrase, understood
from aqtaudio.data.variations import (
    ADDED,
    CHANGED,
    DROPPED,
    JOINED,
    KINDS,
    NEAR,
    PART,
    SPLIT,
    sayable,
    syllable_starts,
)
from aqtaudio.errors import BadInput

PHRASES = ("hey computer", "computer", "jarvis", "view glass", "go", "better", "a few computers")


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    file = tmp_path_factory.mktemp("dictionary") / "words.dict"
    file.write_text(TEXT)
    return dictionary.read(file)


@pytest.fixture(scope="module")
def found(known):
    finder = Finder(known)
    phrases = [understood(text, known) for text in PHRASES]
    return {phrase.text: (phrase, finder.neighbours(phrase, 300)) for phrase in phrases}


def contains(whole, part):
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


@pytest.mark.parametrize("text", PHRASES)
def test_none_is_the_phrase_or_contains_it(found, text):
    phrase, neighbours = found[text]
    assert neighbours
    for plain in (lambda word: word, accents.plain):
        mine = [joined(map(plain, words)) for words in phrase.pronunciations]
        for each in neighbours:
            for words in each.phrase.pronunciations:
                assert not any(contains(joined(map(plain, words)), said) for said in mine)


def test_homophones_and_accents_are_left_out(found):
    assert "hay computer" not in {each.phrase.text for each in found["hey computer"][1]}
    assert "bedder" not in {each.phrase.text for each in found["better"][1]}
    jarvis = {each.phrase.text for each in found["jarvis"][1]}
    assert {"jervis", "harvest", "service"} <= jarvis
    assert not {"/JH AA V AH S/", "/JH AA R V ER S/"} & jarvis
    go = {each.phrase.text for each in found["go"][1]}
    assert "no" in go and not {"goes", "goat"} & go  # these contain it


@pytest.mark.parametrize("text", PHRASES)
def test_they_are_ranked_by_their_distance(found, text):
    phrase, neighbours = found[text]
    mine = [joined(words) for words in phrase.pronunciations]
    for each in neighbours:
        theirs = [joined(words) for words in each.phrase.pronunciations]
        nearest = min(distance(one, other) for one in mine for other in theirs)
        assert each.distance == nearest / UNIT and nearest > 0
        if each.kind in (CHANGED, DROPPED, ADDED, SPLIT):
            assert nearest >= NEAREST_NON_WORD
    assert [n.distance for n in neighbours] == sorted(n.distance for n in neighbours)
    assert len({n.phrase.text for n in neighbours}) == len(neighbours)


def one_word_apart(words, others):
    return (
        len(words) == len(others) and sum(a != b for a, b in zip(words, others, strict=True)) == 1
    )


def without_one(said):
    return {(*said[:at], *said[at + 1 :]) for at in range(len(said))}


@pytest.mark.parametrize("text", PHRASES)
def test_their_kind_is_true(found, known, text):
    phrase, neighbours = found[text]
    words, whole = phrase.phones, joined(phrase.phones)
    for each in neighbours:
        theirs, said = each.phrase.phones, joined(each.phrase.phones)
        non_words = [word for word in each.phrase.words if word.source == TOLD]
        if each.kind == NEAR:
            texts = [[word.text for word in p.words] for p in (phrase, each.phrase)]
            assert one_word_apart(*texts) and not non_words
        elif each.kind == PART:
            begins, ends = whole[: len(said)] == said, whole[-len(said) :] == said
            assert len(said) < len(whole) and (begins or ends or theirs[0] in words)
        elif each.kind == SPLIT:
            assert len(theirs) == len(words) + 1 and not non_words
        elif each.kind == JOINED:
            assert len(theirs) == len(words) - 1 and not non_words
        else:
            assert one_word_apart(words, theirs)
            (word,) = non_words
            (now,) = word.variants
            (before,) = {*words} - {*theirs} if {*words} - {*theirs} else {now}
            assert sayable(now) and not known.spelling(now)
            if each.kind == CHANGED:
                assert one_word_apart(before, now)
            elif each.kind == DROPPED:
                assert now in without_one(before)
            else:
                assert each.kind == ADDED and before in without_one(now)


def test_every_kind_is_there_and_has_its_share(found, known):
    kinds = collections.Counter(each.kind for each in found["hey computer"][1])
    assert set(kinds) == set(KINDS)
    few = Finder(known).neighbours(found["hey computer"][0], 16)
    kinds = collections.Counter(each.kind for each in few)
    assert len(few) == 16 and kinds[NEAR] == kinds[PART] == 4
    assert kinds[CHANGED] + kinds[DROPPED] + kinds[ADDED] == 4 == kinds[SPLIT] + kinds[JOINED]
    near = {each.phrase.text for each in few if each.kind == NEAR}
    assert any(t.startswith("hey ") for t in near) and any(t.endswith("computer") for t in near)


def test_words_parts_and_breaks_of_a_phrase(found):
    texts = {(each.kind, each.phrase.text) for each in found["hey computer"][1]}
    assert texts >= {
        (NEAR, "he computer"),
        (NEAR, "hey commuter"),
        (NEAR, "hey compute"),
        (PART, "hey"),
        (PART, "computer"),
        (PART, "hey come"),
        (PART, "/P Y UW T ER/"),  # pewter is not familiar
        (DROPPED, "hey /K AH M P UW T ER/"),
        (SPLIT, "hey comb suitor"),
    }
    assert (JOINED, "viewless") in {(n.kind, n.phrase.text) for n in found["view glass"][1]}


def test_the_order_of_the_dictionary_does_not_matter(found, known):
    backwards = dictionary.Dictionary("", dict(reversed(known.words.items())))
    phrase, _ = found["hey computer"]
    again = Finder(backwards).neighbours(phrase, 30)
    assert again == Finder(known).neighbours(phrase, 30)


def test_without_a_dictionary_there_are_parts_and_non_words():
    phrase = understood("hey nabu", None, "HH EY | N AA B UW")
    kinds = {each.kind for each in Finder().neighbours(phrase, 40)}
    assert kinds == {PART, CHANGED, DROPPED, ADDED}
    told = [each.phrase.spoken for each in Finder().neighbours(phrase, 5)]
    assert all(each.phones for each in told)  # nabu is said as it was told, in all of them


def test_of_several_phrases_none_says_another_one(known):
    phrases = [understood(text, known) for text in ("computer", "commuter", "hey computer")]
    lists = Finder(known).of_each(phrases, 40)
    texts = [each.phrase.text for found in lists for each in found]
    assert len(texts) == len(set(texts)) and not {phrase.text for phrase in phrases} & set(texts)
    assert not any("computer" in text.split() for text in texts)


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_how_many_there_may_be(count):
    with pytest.raises(BadInput, match="allowed: 1 to 1000"):
        Finder().neighbours(Phrase(()), count)


def test_syllables_and_what_can_be_said():
    for said, starts in {
        "K AH M P Y UW T ER": [3, 6],
        "AH L EH K S AH": [1, 4],
        "G OW": [],
    }.items():
        assert syllable_starts(tuple(said.split())) == starts
    for said in ("S T R IY T", "K AH M P Y UW T", "AH", "HH Y UW JH"):
        assert sayable(tuple(said.split()))
    for said in ("S T", "NG AH", "N B UW", "T T AH", "AH HH", "K HH AH", "T R L AH", "AH W T"):
        assert not sayable(tuple(said.split()))
