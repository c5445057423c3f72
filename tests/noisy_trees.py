"""Small trees of VoiceBank-DEMAND and of the DNS Challenge, made of harmonics and noise."""

import zlib
from pathlib import Path

import numpy as np
import soundfile
from speech_corpus import speech

from aqtaudio.data.audio import to_int16

SETS = {"trainset_28spk": ("p226", "p227", "p228"), "testset": ("p232", "p257")}
KINDS = ("bus", "cafe")


def write_voicebank_demand(tree: Path, rate_hz: int = 48000, seconds: float = 0.5) -> Path:
    """Two recordings a speaker, of white noise; its kinds are only names in the logs."""
    for part, speakers in SETS.items():
        lines = []
        for number, who in enumerate(speakers):
            for take in (1, 2):
                name = f"{who}_{take:03d}"
                noisy, clean = (f"{kind}_{part}_wav/{name}.wav" for kind in ("noisy", "clean"))
                write_pair(tree, noisy, clean, seconds, rate_hz)
                lines.append(f"{name} {KINDS[(number + take) % 2]} {2.5 * take}\n")
        (tree / f"log_{part}.txt").write_text("".join(lines))
    (tree / "testset_txt").mkdir()
    (tree / "testset_txt/p232_001.txt").write_text("Please call Stella.\n")
    return tree


def write_dns_test_set(tree: Path, rate_hz: int = 16000, seconds: float = 0.5) -> Path:
    """Three pairs in datasets/test_set/synthetic/no_reverb."""
    folder = tree / "datasets/test_set/synthetic/no_reverb"
    for number in (9, 10, 158):
        noisy = f"noisy/clnsp{number}_train_69005_1_snr15_tl-21_fileid_{number}.wav"
        write_pair(folder, noisy, f"clean/clean_fileid_{number}.wav", seconds, rate_hz)
    return tree


def write_pair(folder: Path, noisy: str, clean: str, seconds: float, rate_hz: int) -> None:
    """A recording with noise, and without."""
    draw = np.random.default_rng(zlib.crc32(noisy.encode()))
    voice = speech(int(seconds * rate_hz), rate_hz, draw)
    voice = 0.2 * voice / np.abs(voice).max()
    sounds = {clean: voice, noisy: voice + 0.02 * draw.standard_normal(len(voice))}
    for path, samples in sounds.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, to_int16(samples), rate_hz)
