"""The command line as a process: asked to end, on any terminal, on a full disk."""

import os
import signal
import subprocess
import sys
import time

import pytest

from aqtaudio.commands import command_line
from aqtaudio.commands.command_line import main

pytestmark = pytest.mark.optimized(False)

HELD = """
import sys
from pathlib import Path
from aqtaudio.commands import command_line, recordings
from aqtaudio.files import new_folder

def held(options):
    with new_folder(Path(options.folder)) as folder:
        (folder / "half").write_text("half")
        print("begun", flush=True)
        sys.stdin.read()
    return 0

recordings.check = held
sys.argv = ["aqtaudio", "data", "check", sys.argv[1]]
sys.exit(command_line.main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_it_leaves_nothing_half_written(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, tmp_path / "out"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # tests may run under nohup
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert err == f"aqtaudio: ended by {signal.Signals(number).name}\n"
    assert list(tmp_path.iterdir()) == []


def test_what_ignores_a_hangup_goes_on_ignoring_it(monkeypatch):
    """As under nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        command_line._as_a_process()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.01)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_terminal_can_show_it(encoding, tmp_path):
    name = tmp_path / "gehör-\u05e9"
    done = subprocess.run(
        [sys.executable, "-m", "aqtaudio", "data", "check", name],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"aqtaudio: no data folder ") and b"u05e9" in done.stderr


def test_what_the_system_says_names_its_file(monkeypatch, capsys):
    def full(options):
        raise OSError(28, "No space left on device", "out/model.tflite")

    monkeypatch.setattr(command_line.recordings, "check", full)
    assert main(["data", "check", "x"]) == 2
    assert capsys.readouterr().err == "aqtaudio: out/model.tflite: No space left on device\n"


def test_a_file_that_is_refused_is_named(tmp_path, refused):
    (tmp_path / "mine.tflite").write_bytes(b"no model of TFLite")
    assert f"{tmp_path / 'mine.tflite'}: not a TFLite file" in refused(
        "check", tmp_path / "mine.tflite"
    )


@pytest.mark.parametrize(("options", "named"), [({}, "standard output"), ({"out": "x"}, "x")])
def test_a_full_disk_that_names_no_file(options, named, monkeypatch, capsys):
    def full(given):
        vars(given).update(options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command_line.recordings, "check", full)
    assert main(["data", "check", "x"]) == 2
    said = f"aqtaudio: while writing {named}: No space left on device\n"
    assert capsys.readouterr().err == said


def test_a_package_that_is_not_there_is_named(monkeypatch, capsys):
    def lacking(options):
        import no_such_package.part  # noqa: F401

    monkeypatch.setattr(command_line.recordings, "check", lacking)
    assert main(["data", "check", "x"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("aqtaudio: the package no_such_package is not installed; ")
    assert err.count("\n") == 1
