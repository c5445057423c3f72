"""aqtaudio evaluate, robustness, parity, export, check, cost: what a run is, and its device's."""

import argparse
import contextlib
from pathlib import Path
from typing import Any, get_args

from aqtaudio.commands import esphome, protocols
from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_frontend,
    add_json,
    add_list,
    add_run,
    add_runtime,
    add_split,
    positive,
    require_frontend,
    require_there,
)
from aqtaudio.errors import BadInput
from aqtaudio.program.esphome_contract import Target
from aqtaudio.program.kernel_libraries import LIBRARIES


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_evaluate(verbs)
    _add_robustness(verbs)
    _add_parity(verbs)
    _add_export(verbs)
    _add_check(verbs)
    _add_cost(verbs)


def _add_evaluate(verbs: Verbs) -> None:
    command = verbs.add("evaluate", evaluate, "quality of a run in any runtime")
    add_run(command)
    add_data(command, required=False)
    add_split(command)
    add_list(command)
    add_runtime(command)
    command.add_argument("--limit", type=positive, metavar="N")
    add_frontend(command)
    protocols.add_options(command)
    add_json(command)


def evaluate(options: argparse.Namespace) -> int:
    """Evaluates a run."""
    if protocols.is_asked(options):
        return protocols.evaluate(options)
    require_there(options.path, options.data)
    from aqtaudio.runs.evaluate import evaluate
    from aqtaudio.runs.run import Run

    run = Run(options.path)
    require_frontend(run, options.frontend)
    how = options.split, options.runtime, options.limit, options.list, say
    value = evaluate(run, options.data, *how)

    def show(value: dict[str, Any]) -> None:
        print(f"{value['runtime']} on {value['n']} clips of {value['split']}")
        for line in run.experiment.task.show(value["metrics"]):
            print(f"  {line}")
        if notice := run.experiment.task.notice():
            print(f"  {notice}")
        if "real_time_factor" in value:
            factor = value["real_time_factor"]
            print(f"  {factor:.3f} of the sound's time, hop by hop on this machine")
        if "macs_per_second" in value:
            print(f"  {value['macs_per_second'] / 1e6:.1f} million MACs per second")

    answer(value, options.json, show)
    return 0


def _add_robustness(verbs: Verbs) -> None:
    text = "what levels, steps of them, DC, clipping, noise or telephone lines do to a run"
    command = verbs.add("robustness", robustness, text)
    add_run(command)
    add_data(command)
    add_split(command)
    add_runtime(command)
    command.add_argument("--limit", type=positive, metavar="N")
    add_json(command)


def robustness(options: argparse.Namespace) -> int:
    """What becomes of a run's figures in conditions that training may not have had."""
    require_there(options.path, options.data)
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run

    run, split = Run(options.path), options.split
    task, setup = run.experiment.task, run.experiment.setup
    data = task.load(options.data, setup, (split,))
    items = run.items(data, split)[: options.limit]
    with network(run, options.runtime) as opened:
        value = {"runtime": options.runtime, "split": split}
        value |= task.robustness(opened, data, items, setup, split, say)

    def show(value: dict[str, Any]) -> None:
        print(f"{value['runtime']} on {value['n']} clips of {value['split']}")
        for line in task.show_robustness(value):
            print(f"  {line}".rstrip())

    answer(value, options.json, show)
    return 0


def _add_parity(verbs: Verbs) -> None:
    command = verbs.add("parity", parity, "program against the runtime's integers, exact")
    add_run(command)
    add_data(command, required=False)
    add_list(command)
    command.add_argument("--n", type=positive, default=1000)
    command.add_argument("--runtime", choices=("micro", "litert"), default="micro")
    add_json(command)


def parity(options: argparse.Namespace) -> int:
    """Compares integers; status 1 when any differs."""
    require_there(options.path, options.data)
    from aqtaudio.runs.parity import parity_on
    from aqtaudio.runs.run import Run

    run, data, n, runtime = Run(options.path), options.data, options.n, options.runtime
    value = parity_on(run, data, n, runtime, which=options.list, say=say)

    def show(value: dict[str, Any]) -> None:
        print(
            f"{value['runtime']}: {value['mismatches']} of {value['outputs']} integers differ "
            f"on {value['n']} inputs (largest difference {value['max_abs_diff']})"
        )

    answer(value, options.json, show)
    return 1 if value["mismatches"] else 0


def _add_export(verbs: Verbs) -> None:
    text = "an artifact folder with a firmware bundle, or the files of another system"
    command = verbs.add("export", export, text)
    add_run(command)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--to", choices=("bundle", "esphome"), default="bundle")
    add_data(command, "recordings for the golden vectors, or to find cutoffs with", required=False)
    add_list(command)
    esphome.add_options(command)


def export(options: argparse.Namespace) -> int:
    """Writes an artifact folder, or a pair of files per word for ESPHome."""
    if options.to == "esphome":
        return esphome.export(options)
    esphome.require_target(options)
    require_there(options.path, options.data)
    from aqtaudio.runs.export import export
    from aqtaudio.runs.run import Run

    print(export(Run(options.path), options.out, options.data, options.list, say))
    return 0


def _add_check(verbs: Verbs) -> None:
    command = verbs.add("check", check, "does a TFLite file run on TFLite Micro, in integers?")
    command.add_argument("path", type=Path, metavar="FILE.tflite|RUN")
    command.add_argument("--allow-float", action="store_true")
    command.add_argument(
        "--kernels",
        choices=LIBRARIES,
        default=LIBRARIES[0],
        help="that it must run right on; the others are told of",
    )
    command.add_argument(
        "--target",
        choices=get_args(Target),
        default="micro",
        help="esphome: what its micro_wake_word wants of a file, too",
    )
    add_json(command)


def check(options: argparse.Namespace) -> int:
    """Judges a TFLite file; 1 when TFLite Micro can't run it with `--kernels`, or `--target`."""
    path = options.path
    if not path.exists():
        raise BadInput(f"{path}: no such file or run")
    from aqtaudio.program.check import check

    program = None
    if path.is_dir():
        from aqtaudio.runs.run import Run  # JAX, which a file is judged without

        model = Run(path).model
        with contextlib.suppress(BadInput):  # a float run; it would only help to name layers
            program = Run(path).program
    else:
        model = path.read_bytes()
    try:
        report = check(model, options.allow_float, program=program, target=options.target)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    value = report.to_json()

    def show(value: dict[str, Any]) -> None:
        print("Micro-compatible" if value["micro_compatible"] else "not Micro-compatible")
        for library, reasons in value["kernels"].items():
            is_fit = value["micro_compatible"] or library == "litert"  # which takes other files
            right = "right" if is_fit else "not fit, as said below"
            print(f"  {library} kernels: {right if not reasons else '; '.join(reasons)}")
        for target, reasons in value["targets"].items():
            print(f"  {target}: {'right' if not reasons else '; '.join(reasons)}")
        for reason in value["reasons"]:
            print(f"  {reason}")
        print("  " + ", ".join(f"{count} {name}" for name, count in value["ops"].items()))
        sizes = ("file_bytes", "weight_bytes", "arena_bytes", "arena_used_bytes")
        print("  " + ", ".join(f"{key} {value[key]}" for key in sizes))

    answer(value, options.json, show)
    wrong = [*value["kernels"][options.kernels], *value["targets"].get(options.target, ())]
    return 0 if value["micro_compatible"] and not wrong else 1


def _add_cost(verbs: Verbs) -> None:
    text = "parameters, MACs, bit-operations and bytes, per operation"
    command = verbs.add("cost", cost, text)
    add_run(command)
    add_json(command)


def cost(options: argparse.Namespace) -> int:
    """Prints costs."""
    require_there(options.path)
    from aqtaudio.program.cost import cost, table
    from aqtaudio.runs.costs import costs
    from aqtaudio.runs.run import Run

    run = Run(options.path)
    value = costs(run)

    def show(value: dict[str, Any]) -> None:
        if run.experiment.recipe.mode != "float":
            table(cost(run.program))
        for key, number in value.items():
            print(f"{key:>16} {'-' if number is None else format(number, ',')}")

    answer(value, options.json, show)
    return 0
