"""aqtaudio evaluate --protocol: noise suppression on published test sets."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import require_frontend
from aqtaudio.commands.enhancement import STUDY, enhancers
from aqtaudio.commands.names import named
from aqtaudio.commands.progress import Progress
from aqtaudio.errors import BadInput
from aqtaudio.files import write, write_json

if TYPE_CHECKING:
    from aqtaudio.data.noisy_pairs import Pair

PROTOCOLS = ("voicebank-demand", "dns-no-reverb")


def add_options(command: argparse.ArgumentParser) -> None:
    """A public test set in place of --data."""
    group = command.add_argument_group(
        "a public protocol",
        "in place of --data, for noise suppression (a run or a short name, as `enhance` takes it): "
        "ready-made noisy and clean recordings; a killed one goes on",
    )
    group.add_argument("--protocol", choices=PROTOCOLS)
    group.add_argument("--pairs", type=Path, metavar="DIR", help="the corpus's tree")
    group.add_argument(
        "--work", type=Path, metavar="DIR", help="where scores are kept (RUN/PROTOCOL)"
    )


def is_asked(options: argparse.Namespace) -> bool:
    """Whether a protocol is; raises BadInput where it is half said, or neither it nor --data."""
    if options.protocol is None:
        if options.pairs is not None or options.work is not None:
            raise BadInput(f"--pairs and --work are of --protocol; allowed: {', '.join(PROTOCOLS)}")
        if not options.data:
            raise BadInput("--data DIR is needed, or --protocol NAME --pairs DIR")
        return False
    if options.data:
        raise BadInput("--data and --protocol: allowed: one of them")
    if options.pairs is None:
        raise BadInput(f"--protocol {options.protocol} needs --pairs DIR")
    return True


def evaluate(options: argparse.Namespace) -> int:
    """A run on a published test set."""
    path = named(options.path, STUDY)
    assert path is not None
    from aqtaudio.data.crops import hash_order
    from aqtaudio.data.noisy_pairs import fingerprint, require_scorable

    every = _pairs(options.protocol, options.pairs)
    pairs = sorted(every, key=lambda pair: hash_order(pair.name))[: options.limit]
    require_scorable(pairs)
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.enhancement.protocol import Protocol, table

    run = Run(path)
    require_frontend(run, options.frontend)
    kept = run.fingerprint(options.runtime, fingerprint(every))
    work = (options.work or path / options.protocol) / kept
    how = work / "scores", Progress("recordings")
    found = Protocol(enhancers(run, options.runtime), pairs, *how).result()
    value = {"run": str(path), "runtime": options.runtime, "protocol": options.protocol}
    value |= {"pairs": len(every), "work": str(work), **found}
    lines = _lines(value, table(value))
    write_json(work / "result.json", value)
    write(work / "result.md", "\n".join(lines) + "\n")

    def show(value: dict[str, Any]) -> None:
        print("\n".join([*lines, str(work)]))

    answer(value, options.json, show)
    return 0


def _pairs(protocol: str, source: Path) -> "list[Pair]":
    from aqtaudio.data import dns_challenge, voicebank_demand

    if not source.is_dir():
        raise BadInput(f"--pairs {source}: no such folder")
    module = voicebank_demand if protocol == "voicebank-demand" else dns_challenge
    return module.pairs(source)


def _lines(value: dict[str, Any], table: list[str]) -> list[str]:
    factor = value["real_time_factor"]
    return [
        f"{value['run']} ({value['runtime']}) on {value['n']} of {value['pairs']} recordings of "
        f"{value['protocol']}, at 16 kHz",
        "",
        *table,
        f"{factor:.3f} of the sound's time, hop by hop on this machine; "
        f"{value['delay_ms']:g} ms of delay.",
    ]
