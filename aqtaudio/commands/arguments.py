"""What commands are told: parsers, arguments that several verbs have, values that people write."""

import argparse
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from aqtaudio.commands.quantities import count, size_bytes
from aqtaudio.errors import BadInput

RUNTIMES = ("float", "quantized", "integer", "litert", "micro")
LISTS = ("folder", "run")
SPLITS = ("train", "val", "test")
MANIFEST = "MANIFEST.tsv"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are bad input."""

    def error(self, message: str) -> NoReturn:
        """Raises BadInput, which names the verb."""
        verb = self.prog.partition(" ")[2]
        raise BadInput(f"{verb}{': ' if verb else ''}{message}; see {self.prog} --help")


class Verbs:
    """The verbs below a parser."""

    def __init__(self, parser: argparse.ArgumentParser, dest: str = argparse.SUPPRESS):
        self._parsers = parser.add_subparsers(
            dest=dest, required=True, metavar="COMMAND", parser_class=Parser
        )

    def add(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int],
        text: str,
        takes_settings: bool = False,
    ) -> argparse.ArgumentParser:
        """A verb that calls `run`; `takes_settings`: --any.setting VALUE too."""
        command = self._parsers.add_parser(name, help=text, description=text)
        command.set_defaults(run=run, takes_settings=takes_settings)
        return command

    def group(self, name: str, text: str) -> "Verbs":
        """Verbs that share a first word."""
        return Verbs(self._parsers.add_parser(name, help=text, description=text))


def add_run(command: argparse.ArgumentParser) -> None:
    """RUN: a run directory or an artifact folder."""
    command.add_argument("path", type=Path, metavar="RUN")


def add_data(command: argparse.ArgumentParser, text: str = "", required: bool = True) -> None:
    """--data DIR, once or several times."""
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        required=required,
        default=None if required else [],
        metavar="DIR",
        help=f"{text or 'recordings'}: a manifest folder, or several",
    )


def one_folder_each(arguments: Sequence[str]) -> list[str]:
    """`--data A B` as `--data A --data B`, where B is a manifest folder: no run is one."""
    found: list[str] = []
    follows = False  # whether what comes next may be another folder
    for argument in arguments:
        if follows and (Path(argument) / MANIFEST).is_file():
            found.append("--data")
        elif found[-1:] != ["--data"]:
            follows = argument.startswith("--data=")
        else:
            follows = True
        found.append(argument)
    return found


def add_split(command: argparse.ArgumentParser) -> None:
    """--split."""
    command.add_argument("--split", choices=SPLITS, default="val")


def add_list(command: argparse.ArgumentParser) -> None:
    """--list."""
    command.add_argument(
        "--list",
        choices=LISTS,
        default=LISTS[0],
        help="of val: the clips and labels that the folder has now, or those of the run's own list",
    )


def add_runtime(command: argparse.ArgumentParser) -> None:
    """--runtime."""
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")


def add_json(command: argparse.ArgumentParser) -> None:
    """--json."""
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")


def add_metric(command: argparse.ArgumentParser) -> None:
    """--metric."""
    command.add_argument(
        "--metric", metavar="NAME", help="the quality; default: the first that the task names"
    )


def add_frontend(command: argparse.ArgumentParser) -> None:
    """--frontend, which must be the run's."""
    command.add_argument(
        "--frontend",
        metavar="FRONTEND",
        help="what the device has (a name, run, config or frontend.json): refused unless the run's",
    )


def require_frontend(run: Any, requested: str | None) -> None:
    """Raises BadInput when a requested front end is not the run's."""
    from aqtaudio.runs.frontend_named import frontend_of, require_same

    if requested is not None:
        require_same(run.path, run.experiment.frontend, frontend_of(requested))


def require_there(run: Path | None, folders: Sequence[Path] | None = ()) -> None:
    """Raises BadInput where a run or a manifest folder is not there: before anything is imported
    that takes a second.
    """
    from aqtaudio.data import manifest

    if run is not None and not run.is_dir():
        raise BadInput(f"{run}: no such run directory")
    for folder in folders or ():
        manifest.require(folder)


def require_checkpoint(run: Path) -> None:
    """Raises BadInput where a run has no float model to go on from: before JAX is loaded."""
    if not (run / "checkpoint").is_dir():
        raise BadInput(
            f"{run}: no checkpoint, so no float model to go on from (an artifact has none); "
            "allowed: a folder that `train` made"
        )


def given(options: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The fields of a settings class that were given on the command line."""
    names = (field.name for field in dataclasses.fields(settings))
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


def overrides(rest: Sequence[str]) -> dict[str, str]:
    """--a.b VALUE and --a.b=VALUE pairs."""
    overrides: dict[str, str] = {}
    remaining = list(rest)
    while remaining:
        name = remaining.pop(0)
        if not name.startswith("--"):
            raise BadInput(f"unexpected argument {name!r}; settings are given as --path VALUE")
        path, equals, value = name[2:].partition("=")
        if not equals:
            if not remaining:
                raise BadInput(f"setting --{path} needs a value")
            value = remaining.pop(0)
        overrides[path] = value
    return overrides


def names(text: str) -> tuple[str, ...]:
    """`A,B` as names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def size(text: str) -> int:
    """`64KB` in bytes."""
    return _quantity(size_bytes, text)


def number(text: str) -> int:
    """`3M` as a count."""
    return _quantity(count, text)


def positive(text: str) -> int:
    """A whole number, 1 and more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def above_zero(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _quantity(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
