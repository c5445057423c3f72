"""A tree of somebody's own, a folder per word, as a manifest folder."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from aqtaudio.data import import_tree
from aqtaudio.data.counted import Say, silent
from aqtaudio.data.import_tree import LeftOut, Listed
from aqtaudio.data.manifest import Recording
from aqtaudio.data.speech_commands import NOISE_FOLDER
from aqtaudio.errors import BadInput

NOISE_FOLDERS = (NOISE_FOLDER, "noise", "_noise_", "background_noise")
UNSAID = "unknown"
"""Source and licence of recordings of which nobody said any."""


def import_folders(
    source: Path,
    out: Path,
    link: bool = False,
    speaker: str | None = None,
    held_out_percent: tuple[float, float] = (10.0, 10.0),
    licence: str = UNSAID,
    say: Say = silent,
) -> list[LeftOut]:
    """Makes a manifest folder of `WORD/.../*.wav` or `SPLIT/WORD/.../*.wav`.

    The word is the label. Folders that are called training, validation, testing (or train, val,
    dev, test) are splits; elsewhere a hash decides: of the speaker, so that nobody is in two
    splits, or of the path where no speaker is known. Recordings below `_background_noise_` or
    `noise` become `noise:NAME`.

    Args:
      source: the tree.
      out: the folder to make.
      link: hard links instead of copies.
      speaker: a regular expression with one group, which finds the speaker in the path below the
        tree, as in `([^/_]+)_[^/]*$`.
      held_out_percent: of speakers (of paths) that are val and test.
      licence: of the recordings.
      say: told how far it is, where that takes long.

    Returns:
      What is left out.

    Raises:
      BadInput: no such tree, another pattern, or `out` is there already.
    """
    source = Path(source)
    if not source.is_dir():
        raise BadInput(f"no folder {source}; allowed: a folder with a folder per word")
    val, test = held_out_percent
    if not (0 <= val and 0 <= test and val + test < 100):
        raise BadInput(
            f"{val:g} % val and {test:g} % test; allowed: 0 and more, below 100 together"
        )
    pattern = _pattern(speaker)
    listed: list[Listed] = []
    reasons: dict[str, str] = {}
    for path in import_tree.walk(source)[0]:
        if import_tree.why_not_audio(source, path):
            continue  # `import_tree` names it
        given, within = import_tree.split_folder(path)
        word, slash, _ = within.partition("/")
        if not slash:
            reasons[path] = "in no word's folder"
            continue
        found = pattern.search(path) if pattern else None
        who = found[1] if found and found[1] else "-"
        label = f"noise:{PurePosixPath(path).stem}" if word.lower() in NOISE_FOLDERS else word
        split = given or split_of(path if who == "-" else who, held_out_percent)
        listed.append(Listed(path, label, split, source.name or UNSAID, licence, who))
    if not listed:
        raise BadInput(
            f"{source} has no folders with recordings; allowed: WORD/NAME.wav, SPLIT/WORD/NAME.wav"
        )
    if pattern and all(each.speaker == "-" for each in listed):
        raise BadInput(f"--speaker {speaker!r} finds no speaker in any path, such as {path!r}")

    def finish(folder: Path, kept: Sequence[Recording]) -> None:
        return

    return import_tree.import_tree(source, out, listed, link, (), finish, reasons, say)


def split_of(key: str, held_out_percent: tuple[float, float] = (10.0, 10.0)) -> str:
    """The split of a speaker or a path: of its SHA-1, so the same wherever it is imported."""
    number = int.from_bytes(hashlib.sha1(key.encode()).digest()[:8], "big")
    percent = 100 * number / 2**64
    val, test = held_out_percent
    return "val" if percent < val else "test" if percent < val + test else "train"


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise BadInput(f"--speaker {text!r} is no regular expression: {error}") from error
    if pattern.groups != 1:
        raise BadInput(
            f"--speaker {text!r} has {pattern.groups} groups; allowed: one in brackets, the speaker"
        )
    return pattern
