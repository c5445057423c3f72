"""VoiceBank-DEMAND and the DNS Challenge: pairs for protocols, speech and noise for training."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from noisy_trees import write_dns_test_set, write_voicebank_demand

from aqtaudio.data import audio, dns_challenge, manifest, noisy_pairs, voicebank_demand
from aqtaudio.data.check import check
from aqtaudio.data.dns_challenge import import_dns_challenge
from aqtaudio.data.import_tree import LeftOut
from aqtaudio.data.voicebank_demand import import_voicebank_demand
from aqtaudio.errors import BadInput


@pytest.fixture
def voicebank(tmp_path) -> Path:
    return write_voicebank_demand(tmp_path / "voicebank")


@pytest.fixture
def dns(tmp_path) -> Path:
    return write_dns_test_set(tmp_path / "dns")


# --- pairs


@pytest.mark.parametrize("ending", ["_wav", "_wav_16k"])
def test_pairs_of_voicebank_demand_go_by_name(voicebank, ending):
    for kind in ("clean", "noisy"):
        folder = voicebank / f"{kind}_testset_wav"
        folder.rename(voicebank / f"{kind}_testset{ending}")
    found = voicebank_demand.pairs(voicebank)
    assert [(pair.name, pair.speaker) for pair in found] == [
        *(("p232_001", "p232"), ("p232_002", "p232"), ("p257_001", "p257"), ("p257_002", "p257"))
    ]
    for pair in found:
        assert pair.noisy == voicebank / f"noisy_testset{ending}/{pair.name}.wav"
        assert pair.clean == voicebank / f"clean_testset{ending}/{pair.name}.wav"
    noisy_pairs.require_scorable(found)


@pytest.mark.parametrize("above", ["", "datasets", "datasets/test_set/synthetic/no_reverb"])
def test_pairs_of_the_dns_challenge_go_by_number(dns, above):
    found = dns_challenge.pairs(dns / above)
    numbers = [pair.clean.stem.removeprefix("clean_fileid_") for pair in found]
    assert sorted(numbers) == ["10", "158", "9"]
    for pair, number in zip(found, numbers, strict=True):
        assert pair.noisy.stem.endswith(f"_fileid_{number}")
    assert {pair.speaker for pair in found} == {"-"}


def test_a_recording_without_its_other_half_is_refused(voicebank, dns):
    (voicebank / "clean_testset_wav/p232_002.wav").unlink()
    said = r"noisy_testset_wav: without their other half in .*clean.*: 1 \(p232_002.wav\)"
    with pytest.raises(BadInput, match=said):
        voicebank_demand.pairs(voicebank)
    folder = dns / dns_challenge.NO_REVERB[-1]
    next((folder / "noisy").glob("*_158.wav")).unlink()
    with pytest.raises(BadInput, match=r"clean: without .*noisy: 1 \(clean_fileid_158.wav\)"):
        dns_challenge.pairs(dns)
    shutil.copy(folder / "clean/clean_fileid_9.wav", folder / "clean/again_fileid_9.wav")
    with pytest.raises(BadInput, match="of one pair"):
        dns_challenge.pairs(dns)


@pytest.mark.parametrize("module", [voicebank_demand, dns_challenge])
def test_what_is_no_tree_has_no_pairs(module, voicebank, dns, tmp_path):
    other = {voicebank_demand: dns, dns_challenge: voicebank}[module]
    for folder in (tmp_path / "nowhere", other):
        with pytest.raises(BadInput, match="allowed: a"):
            module.pairs(folder)


def test_empty_folders_have_no_pairs(tmp_path):
    for name in ("clean_testset_wav", "noisy_testset_wav", "clean", "noisy"):
        (tmp_path / name).mkdir()
    for module in (voicebank_demand, dns_challenge):
        with pytest.raises(BadInput, match="has no recordings with the corpus's names"):
            module.pairs(tmp_path)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "said"),
    [
        (4000, 8000, "8000 Hz; allowed: 16000 and more"),
        (20000, 48000, r"0\.4167 s, and 0\.5000 s without noise"),
        (800, 48000, r"0\.017 s; allowed: 0\.25 and more"),
    ],
)
def test_pairs_that_cannot_be_scored_are_refused(voicebank, samples, rate_hz, said):
    soundfile.write(voicebank / "noisy_testset_wav/p257_001.wav", np.ones(samples) / 2, rate_hz)
    with pytest.raises(BadInput, match=said):
        noisy_pairs.require_scorable(voicebank_demand.pairs(voicebank))


def test_halves_may_have_different_rates(voicebank):
    soundfile.write(voicebank / "noisy_testset_wav/p257_001.wav", np.ones(8000) / 2, 16000)
    noisy_pairs.require_scorable(voicebank_demand.pairs(voicebank))


def test_fingerprints_tell_test_sets_apart(voicebank):
    before = noisy_pairs.fingerprint(voicebank_demand.pairs(voicebank))
    assert before == noisy_pairs.fingerprint(voicebank_demand.pairs(voicebank))
    soundfile.write(voicebank / "clean_testset_wav/p257_001.wav", np.ones(24001) / 2, 48000)
    assert before != noisy_pairs.fingerprint(voicebank_demand.pairs(voicebank))


# --- manifest folders


@pytest.mark.parametrize("link", [False, True])
def test_voicebank_demand(voicebank, tmp_path, link):
    out = tmp_path / "out"
    left = import_voicebank_demand(voicebank, out, link)
    rows = manifest.read(out)
    speech = [row for row in rows if row.label == "speech"]
    noises = {row.path: row for row in rows if row.label != "speech"}
    assert len(speech) == 10 == len(noises)
    splits = {row.speaker: row.split for row in speech}
    assert splits == {
        **{"p226": "val", "p227": "train", "p228": "train", "p232": "test", "p257": "test"}
    }
    for row in speech:
        assert row.file.samefile(voicebank / row.path) == link
        noise = noises[row.path.replace("clean", "noise")]
        noisy = voicebank / row.path.replace("clean", "noisy")
        parts = [audio.load_int16(file, 48000) for file in (row.file, noise.file)]
        np.testing.assert_array_equal(sum(parts), audio.load_int16(noisy, 48000))
        assert (noise.split, noise.seconds) == (row.split, row.seconds)
    assert noises["noise_testset_wav/p232_001.wav"].label == "noise:cafe"
    assert noises["noise_testset_wav/p232_002.wav"].label == "noise:bus"
    assert left == [LeftOut("testset_txt/p232_001.txt", "not audio")]
    assert [problem for problem in check(out) if problem.severity == "error"] == []


def test_voicebank_demand_without_logs_and_with_one_set(voicebank, tmp_path):
    for log in voicebank.glob("log_*"):
        log.unlink()
    for folder in voicebank.glob("*_testset_*"):
        shutil.rmtree(folder)
    for file in voicebank.glob("*_trainset_28spk_wav/p226_*"):
        file.unlink()
    import_voicebank_demand(voicebank, tmp_path / "out")
    rows = manifest.read(tmp_path / "out")
    assert {row.label for row in rows} == {"speech", "noise:demand"}
    assert {row.split for row in rows} == {"val"}  # of two speakers both


def test_what_of_voicebank_demand_is_no_pair_is_left_out(voicebank, tmp_path):
    noisy = voicebank / "noisy_testset_wav"
    (noisy / "p232_001.wav").write_bytes(b"RIFF no more")
    soundfile.write(noisy / "p232_002.wav", np.ones(100) / 2, 48000)
    (voicebank / "clean_testset_wav/p257_001.wav").unlink()
    (noisy / "p257_002.wav").unlink()
    left = import_voicebank_demand(voicebank, tmp_path / "out")
    assert {each.path.split("/")[-1]: each.reason for each in left} == {
        "p232_001.wav": "damaged",
        "p232_002.wav": "not as long as its clean recording, or not at its rate",
        "p257_001.wav": "without a clean recording",
        "p232_001.txt": "not audio",
    }
    test = [row.path for row in manifest.read(tmp_path / "out") if row.split == "test"]
    assert test == [f"clean_testset_wav/{n}.wav" for n in ("p232_001", "p232_002", "p257_002")]


def test_dns_challenge(dns, tmp_path):
    names = [f"clean/book_{n:05d}_reader_{n // 2:05d}_{n % 2}.wav" for n in range(40)]
    names += [f"clean/german/{n}.wav" for n in range(4)] + [f"noise/n{n}.wav" for n in range(30)]
    for name in names:
        file = dns / "datasets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.random.default_rng(len(name)).uniform(-0.1, 0.1, 800), 16000)
    left = import_dns_challenge(dns, tmp_path / "out")
    rows = manifest.read(tmp_path / "out")
    assert sorted(row.path.removeprefix("datasets/") for row in rows) == sorted(names)
    for label in ("speech", "noise:dns"):
        assert {row.split for row in rows if row.label == label} == {"train", "val", "test"}
    speakers = {(row.speaker, row.split) for row in rows if row.speaker != "-"}
    assert len(speakers) == 20 == len({who for who, _ in speakers})
    assert {each.reason for each in left} == {"neither in datasets/clean nor in datasets/noise"}
    assert len(left) == 6


@pytest.mark.parametrize("importer", [import_voicebank_demand, import_dns_challenge])
def test_what_is_no_tree_is_refused(importer, tmp_path):
    (tmp_path / "empty/clean").mkdir(parents=True)
    (tmp_path / "empty/noise").mkdir()
    (tmp_path / "empty/clean_testset_wav").mkdir()
    for name in ("nowhere", "empty"):
        with pytest.raises(BadInput):
            importer(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
