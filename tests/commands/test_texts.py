"""Texts: commands, links and files that they name are there, and every verb is shown to users."""

import argparse
import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_cases import verbs

from aqtaudio.commands.arguments import one_folder_each, overrides
from aqtaudio.commands.command_line import parser
from aqtaudio.errors import BadInput
from aqtaudio.experiment import load_config
from aqtaudio.frontends.named import NAMED
from aqtaudio.settings import overlay

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKDOWN = [
    *PAGES,
    *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "results").glob("*/*.md")),
]
SETTINGS = sorted([*(ROOT / "configs").glob("*.py"), *(ROOT / "sweeps").glob("*.py")])
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
OPTIONAL = re.compile(r"\[([^]]*)\]")
NEEDED = "the following arguments are required"


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


# --- commands


def shown(file: Path) -> Iterator[list[str]]:
    """The words of every command of ours in a file's blocks of code, or in its docstring.

    What stands in brackets may be left out: such a line is two.
    """
    if file.suffix == ".py":
        text, lines = ast.get_docstring(ast.parse(file.read_text())) or "", r"^\s*(aqtaudio .*)$"
    else:
        text, lines = file.read_text(), r"^    (\S.*)$"
    for line in re.findall(lines, re.sub(r" \\\n\s+", " ", text), re.MULTILINE):
        if "aqtaudio " in line:
            for way in {OPTIONAL.sub(r"\1", line), OPTIONAL.sub("", line)}:
                yield from ours(way)


def ours(line: str) -> Iterator[list[str]]:
    """Of a line of a shell, what `aqtaudio` is given."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set("|&;"):
            words.append(word)
        elif words:
            if Path(words[0]).name == "aqtaudio":
                yield words[1:]
            words = []


def require_accepted(words: list[str]) -> None:
    """Raises BadInput where the command line does not take them; settings are those of a config."""
    options, rest = parser().parse_known_args(one_folder_each(words))
    if not rest:
        return
    assert options.takes_settings, f"unknown: {rest}"
    changes = overrides(rest)
    if options.config.parent.name == "configs":
        overlay(load_config(ROOT / options.config), changes)


@pytest.mark.parametrize("file", [*MARKDOWN, *SETTINGS], ids=name_of)
def test_shown_commands_are_accepted(file: Path):
    for words in shown(file):
        try:
            require_accepted(words)
        except BadInput as error:
            pytest.fail(f"aqtaudio {' '.join(words)}: {error}")


@pytest.mark.parametrize("file", MARKDOWN, ids=name_of)
def test_commands_in_sentences_are_accepted(file: Path):
    """These may leave out what is needed, and say ... for more."""
    for text in re.findall(r"`aqtaudio ([^`]+)`", file.read_text()):
        words = [word for way in ours(f"aqtaudio {text}") for word in way if word != "..."]
        try:
            require_accepted(words)
        except BadInput as error:
            assert NEEDED in str(error), f"aqtaudio {text}: {error}"


@functools.cache
def verbs_shown() -> set[tuple[str, ...]]:
    return {tuple(words[:count]) for page in PAGES for words in shown(page) for count in (1, 2)}


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_is_shown(verb: tuple[str, ...]):
    assert verb in verbs_shown()


def test_readme_names_every_verb():
    named = [text.split() for text in re.findall(r"`([^`\n]+)`", PAGES[0].read_text())]
    assert {
        verb for verb in verbs() if not any(verb == (*text[: len(verb)],) for text in named)
    } == set()


@pytest.mark.parametrize("wrong", ["trane X", "train X --data Y", "cost RUN --board host", "cost"])
def test_wrong_commands_are_found(wrong: str):
    with pytest.raises((BadInput, AssertionError)):
        require_accepted(wrong.split())


def test_commands_are_found(tmp_path: Path):
    file = tmp_path / "page.md"
    file.write_text(
        "text aqtaudio no command\n\n"
        "    record -q | .venv/bin/aqtaudio listen RUN -   # FILE\n"
        "    aqtaudio export RUN \\\n        --out 'my bundle' [--data DIR]\n"
    )
    export = ["export", "RUN", "--out", "my bundle"]
    listen = ["listen", "RUN", "-"]
    assert sorted(shown(file)) == sorted([listen, export, [*export, "--data", "DIR"]])


def test_every_named_front_end_is_told_of():
    text = (ROOT / "docs/front_ends.md").read_text()
    assert not [name for name in NAMED if f"`{name}`" not in text]


# --- files and links


@pytest.mark.parametrize("file", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(file: Path):
    for target, place in LINK.findall(file.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        there = (file.parent / target) if target else file
        assert there.exists(), target
        if place:
            assert place in places(there), f"{target}#{place}"


@functools.cache
def places(file: Path) -> set[str]:
    """Anchors of a page's headings, as readers on the web have them."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@functools.cache
def sources() -> set[str]:
    """Paths of our modules, from every folder that they are in."""
    tops = "aqtaudio", "tests", "benchmarks", "configs", "sweeps"
    files = [path.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob("*.py")]
    return {"/".join(file.parts[first:]) for file in files for first in range(len(file.parts))}


@pytest.mark.parametrize("file", MARKDOWN, ids=name_of)
def test_named_sources_are_there(file: Path):
    named = re.findall(r"`([\w/]+\.py)`", file.read_text())
    assert set(named) <= sources() | {"STUDY.py"}


@pytest.mark.parametrize("file", [*MARKDOWN, *SETTINGS], ids=name_of)
def test_files_in_commands_are_there(file: Path):
    """Configs, sweeps and what is committed of results; words in capitals stand for anything."""
    for words in shown(file):
        for before, word in zip(["", *words], words, strict=False):
            ours = word.startswith(("configs/", "sweeps/", "results/", "docs/"))
            made = before == "--out" or "/work/" in word or re.search(r"[A-Z]", word)
            if ours and not made:
                assert (ROOT / word).exists(), word


def test_of_verbs_the_parser_knows_the_words():
    """What the laws above run over."""
    found = verbs()
    assert ("data", "check") in found and ("train",) in found
    assert all(isinstance(each, argparse.ArgumentParser) for each in found.values())
