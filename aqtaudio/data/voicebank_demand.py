"""VoiceBank-DEMAND (C. Valentini-Botinhao, doi:10.7488/ds/2117): test pairs, manifest folders."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from aqtaudio.data import audio, crops, import_tree
from aqtaudio.data.counted import Say, side_by_side, silent
from aqtaudio.data.import_tree import LeftOut, Listed
from aqtaudio.data.manifest import Recording
from aqtaudio.data.manifest import write as write_manifest
from aqtaudio.data.noisy_pairs import Pair, paired
from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder

TEST = "testset"
TRAINING = ("trainset_28spk", "trainset_56spk", "trainset")
ENDINGS = ("_wav", "_wav_16k")
LOGS = ("", "logfiles")
"""Folders of the tree in which log_testset.txt and the others may be."""
VALIDATION = ("p226", "p287")
"""Of the 28 speakers those that recipes such as SpeechBrain's validate on."""
VALIDATED = 2
"""Speakers, of a training set without these."""
SOURCE = "VoiceBank-DEMAND (C. Valentini-Botinhao)"
LICENCE = "CC BY 4.0"
UNKNOWN_NOISE = "demand"
_NAME = re.compile(r"(p\d+)_\d+")


def pairs(source: Path) -> list[Pair]:
    """The test set: noisy_testset_wav and clean_testset_wav, by name.

    Raises BadInput where the folder is no such tree, or a recording lacks its other half.
    """
    source = Path(source)
    noisy, clean = (_folder(source, kind, TEST) for kind in ("noisy", "clean"))
    if noisy is None or clean is None:
        raise BadInput(
            f"{source} has no clean_{TEST}_wav and noisy_{TEST}_wav; allowed: a VoiceBank-DEMAND "
            "tree"
        )
    return [
        Pair(at, noisy_file, clean_file, _speaker(at))
        for at, noisy_file, clean_file in paired(noisy, clean, _key)
    ]


def import_voicebank_demand(
    source: Path, out: Path, link: bool = False, say: Say = silent
) -> list[LeftOut]:
    """Makes a manifest folder of speech and noise that `train` mixes itself.

    Speech are the clean recordings. Noise is what the noisy ones have beyond them: written anew,
    to `noise_.../`, with the kind that the corpus's log names, or `noise:demand` without a log.
    The test set is "test"; of the training sets speakers p226 and p287 are "val" (of a set without
    them two others).

    Args:
      source: the tree: clean_ and noisy_ testset_wav, trainset_28spk_wav, trainset_56spk_wav, as
        many of the sets as are there.
      out: the folder to make.
      link: hard links of the speech instead of copies.
      say: told how far it is, where that takes long.

    Returns:
      What is left out.

    Raises:
      BadInput: the source is no such tree, or `out` is there already.
    """
    source = Path(source)
    places = {part: _folder(source, "clean", part) for part in (*TRAINING, TEST)}
    sets = {part: place for part, place in places.items() if place}
    listed = [each for part, place in sets.items() for each in _speech(source, part, place)]
    if not listed:
        raise BadInput(
            f"{source} has no clean_{TEST}_wav or clean_{TRAINING[0]}_wav with recordings such as "
            "p226_001.wav; allowed: a VoiceBank-DEMAND tree"
        )
    noisy = _noisy(source, sets)
    kinds = {name: kind for part in sets for name, kind in _kinds(source, part)}
    with new_folder(out) as folder:
        speech, left = import_tree.placed(source, folder, listed, link, say)
        if not speech:
            raise BadInput(f"{source}: none of its {len(listed)} recordings can be read")

        def noise(row: Recording) -> Recording | LeftOut:
            return _noise(source, folder, row, noisy[row.path], kinds)

        mixed = [row for row in speech if row.path in noisy]
        with side_by_side(noise, mixed, say) as found:
            noises = list(found)
        kept = [row for row in noises if isinstance(row, Recording)]
        left += [row for row in noises if isinstance(row, LeftOut)]
        logs = {path for part in sets if (path := _log(source, part))}
        named = {each.path for each in listed} | {noisy[row.path] for row in mixed} | logs
        alone = dict.fromkeys(noisy.values(), "without a clean recording")
        left += import_tree.others(source, named, alone)
        write_manifest(folder, [*speech, *kept])
        import_tree.write_left_out(folder, left)
    return left


def _folder(source: Path, kind: str, part: str) -> Path | None:
    folders = (source / f"{kind}_{part}{ending}" for ending in ENDINGS)
    return next((folder for folder in folders if folder.is_dir()), None)


def _key(stem: str) -> str | None:
    return stem if _NAME.fullmatch(stem) else None


def _speaker(name: str) -> str:
    return name.partition("_")[0]


def _speech(source: Path, part: str, folder: Path) -> Iterator[Listed]:
    files = [file for file in sorted(folder.iterdir()) if _is_recording(file)]
    speakers = {_speaker(file.stem) for file in files}
    by_hash = sorted(speakers, key=crops.hash_order)
    validated = speakers & set(VALIDATION) or by_hash[:VALIDATED]
    for file in files:
        who, path = _speaker(file.stem), file.relative_to(source).as_posix()
        split = "test" if part == TEST else "val" if who in validated else "train"
        yield Listed(path, "speech", split, f"{SOURCE}, {part}", LICENCE, who)


def _is_recording(file: Path) -> bool:
    return file.suffix.lower() in import_tree.AUDIO and bool(_NAME.fullmatch(file.stem))


def _noisy(source: Path, sets: Mapping[str, Path]) -> dict[str, str]:
    """Of clean recordings' paths those of the noisy ones that are there."""
    found = {}
    for part, clean in sets.items():
        if (folder := _folder(source, "noisy", part)) is None:
            continue
        for file in filter(_is_recording, folder.iterdir()):
            at = (clean / file.name).relative_to(source).as_posix()
            found[at] = file.relative_to(source).as_posix()
    return found


def _log(source: Path, part: str) -> str | None:
    """Path of the list of a set's noises: lines of name, kind and SNR."""
    paths = (str(Path(folder) / f"log_{part}.txt") for folder in LOGS)
    return next((path for path in paths if (source / path).is_file()), None)


def _kinds(source: Path, part: str) -> Iterator[tuple[str, str]]:
    """Recordings' names and the kind of noise that their log tells."""
    if (path := _log(source, part)) is not None:
        for line in (source / path).read_text(encoding="utf-8", errors="replace").splitlines():
            if len(words := line.split()) > 1:
                yield words[0], words[1]


def _noise(
    source: Path, folder: Path, speech: Recording, noisy: str, kinds: Mapping[str, str]
) -> Recording | LeftOut:
    """Writes what a noisy recording has beyond its speech."""
    rate_hz, path = speech.sample_rate_hz, noisy.replace("noisy", "noise", 1)
    try:
        if import_tree.length(source / noisy) != import_tree.length(source / speech.path):
            return LeftOut(noisy, "not as long as its clean recording, or not at its rate")
        clean, both = (audio.load_int16(source / at, rate_hz) for at in (speech.path, noisy))
    except BadInput:
        return LeftOut(noisy, "damaged")
    rest = np.clip(both.astype(np.int32) - clean, -audio.FULL_SCALE, audio.FULL_SCALE - 1)
    (folder / path).parent.mkdir(exist_ok=True)
    audio.write(folder / path, rest.astype(np.int16), rate_hz)
    return Recording(
        path=path,
        label=f"noise:{kinds.get(Path(path).stem, UNKNOWN_NOISE)}",
        speaker="-",
        split=speech.split,
        source=f"{speech.source}: noisy less clean",
        licence=LICENCE,
        seconds=speech.seconds,
        sample_rate_hz=rate_hz,
    )
