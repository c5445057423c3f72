"""Fixtures that run commands in this process and look at what they print."""

import argparse
import json
from pathlib import Path

import pytest

from aqtaudio.commands.command_line import main, parser


@pytest.fixture
def cli(capfd):
    """Runs a command in this process: (status, standard output, standard error)."""

    def run(*arguments) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def answer(cli):
    """The JSON object that a command prints, and its status; nothing else is printed."""

    def run(*arguments) -> tuple[int, dict]:
        status, out, err = cli(*arguments, "--json")
        assert out.count("\n") == 1 and err == "", err
        value = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert isinstance(value, dict)
        return status, value

    return run


@pytest.fixture
def refused(cli):
    """The one line that a command with bad input prints."""

    def run(*arguments) -> str:
        status, out, err = cli(*arguments)
        assert status == 2 and out == "", (status, out, err)
        assert err.startswith("aqtaudio: ") and err.count("\n") == 1 and err.endswith("\n"), err
        assert "Traceback" not in err
        return err

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def verbs(
    below: argparse.ArgumentParser | None = None,
) -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Parsers of all verbs of the command line, by their words: `("data", "check")`."""
    below = below or parser()
    groups = [each for each in below._actions if isinstance(each, argparse._SubParsersAction)]
    if not groups:
        return {(): below}
    return {
        (name, *rest): found
        for name, each in groups[0].choices.items()
        for rest, found in verbs(each).items()
    }
