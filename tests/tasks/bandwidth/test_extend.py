"""Bandwidth extension end to end: train beside discriminators, extend, evaluate, export."""

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from speech_corpus import write_speech_corpus

from aqtaudio.commands.command_line import main
from aqtaudio.data.audio import to_float
from aqtaudio.data.narrowing import Narrowing
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.models.seanet import SEANet
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.export import export
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train
from aqtaudio.tasks.bandwidth import whole
from aqtaudio.tasks.bandwidth.baseline_scores import baseline_scores
from aqtaudio.tasks.bandwidth.lines import CONDITIONS
from aqtaudio.tasks.bandwidth.loss import Adversary, SpectralLoss
from aqtaudio.tasks.bandwidth.stream import Extender
from aqtaudio.tasks.bandwidth.task import Bandwidth
from aqtaudio.tasks.sound_file import convert_file
from aqtaudio.training.restore import restore

pytestmark = pytest.mark.optimized(False)

MODELS = "aqtaudio.tasks.sound_quality.models_are_installed"
HZ = 16000
PHASE = Optimizer(steps=3, batch_size=2, learning_rate=1e-3, warmup_steps=1)
FRONTEND = WaveBlocks(peak=0.5)
EXPERIMENT = Experiment(
    model=SEANet(
        channels=(4, 6), strides=(8,), dilations=(1,), bottleneck=4, bottleneck_kernel=2, patch=4,
        activation="leaky_relu", biased=True, bounded=False, weight_norm=True,
    ),
    task=Bandwidth(
        clip_ms=256,
        narrowing=Narrowing(noise_probability=0.0),
        loss=SpectralLoss(windows_ms=(16.0,)),
        adversary=Adversary(
            weight=0.1, rates=(1, 2), channels=4, windows_ms=(16.0,), spectrum_channels=4
        ),
    ),
    frontend=FRONTEND,
    recipe=Recipe(rules=(Rule("input|last|sum", activation_bits=16, calibration="max"), Rule())),
    optimizer=PHASE,
    finetune=PHASE,
    calibration_batches=1,
    evaluate_every=3,
    checkpoint_every=3,
    stream_block_frames=1,
    stream_context_clips=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_speech_corpus(tmp_path_factory.mktemp("voices") / "corpus", HZ)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Run:
    """A few steps; without PESQ and STOI, which take a second a clip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODELS, lambda: False)
        patch.setattr("aqtaudio.runs.row.row_inputs", lambda experiment: 100)
        out = tmp_path_factory.mktemp("runs") / "run"
        return train(EXPERIMENT, [corpus], out, lambda text: None)


@pytest.fixture
def without_models(monkeypatch):
    monkeypatch.setattr(MODELS, lambda: False)


@contextlib.contextmanager
def opened(run: Run, runtime: str = "integer") -> Iterator[Extender]:
    with network(run, runtime) as of_run:
        yield Extender(of_run, run.experiment.setup.block_frames, FRONTEND)


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


@pytest.mark.slow
def test_row(run):
    row = json.loads((run.path / "row.json").read_text())
    assert row["parity"]["mismatches"] == 0
    for runtime in ("float", "integer"):
        assert np.isfinite(row["metrics"][runtime]["lsd_high_db"])
        assert row["metrics"][runtime]["details"]["per_condition"].keys() >= {"quiet", "mu_law"}
    assert row["stream"]["macs_per_second"] == 62.5 * row["costs"]["macs"]


@pytest.mark.slow
def test_discriminators_trained_and_went_on(run):
    floating, quantized = (restore(run.path, EXPERIMENT, x) for x in ("float", "quantized"))
    names = {"wave_1", "wave_2", "spectrum_16"}
    assert floating["companions"].keys() == quantized["companions"].keys() == names
    for name in names:
        pairs = (x["companions"][name] for x in (floating, quantized))
        moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), *pairs)
        assert 0 < max(jax.tree.leaves(moved)) < 0.1
    lines = [json.loads(x) for x in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert {x["phase"] for x in lines if "caught" in x} == {"float", "quantized"}


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["integer", "micro"])
def test_stream_is_the_whole_clip(run, runtime):
    clip = noise(HZ // 2 + 77)
    with network(run, "integer") as of_run:
        expected = whole.extended(of_run, clip[None], FRONTEND)[0]
    for size in (256, 1000):
        with opened(run, runtime) as extender:
            parts = [extender.push(clip[i : i + size]) for i in range(0, len(clip), size)]
            found = np.concatenate([*parts, extender.finish()])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_quantized_reading_is_the_program(run, corpus):
    data = run.data([corpus], ("val",))
    narrow = to_float(data.evaluation_arrays(data.evaluation_list("val")[:2])[0])
    made = []
    for runtime in ("quantized", "integer"):
        with network(run, runtime) as of_run:
            made.append(whole.extended(of_run, narrow, FRONTEND))
    np.testing.assert_array_equal(*made)


@pytest.mark.slow
@pytest.mark.usefixtures("without_models")
def test_evaluated_beside_baselines(run, corpus):
    found = evaluate(run, [corpus], "val", "integer", 4)["metrics"]
    data = run.data([corpus], ("train", "val"))
    baselines = baseline_scores(data, run.items(data, "val")[:4], 6)
    assert baselines["resampled"]["lsd_high_gain"] == pytest.approx(0)
    assert baselines["resampled"]["lsd_db"] == pytest.approx(found["narrow_lsd_db"])
    # Hummed voices have next to nothing up there: what predicts that is nearer than a mirror.
    assert baselines["predicted"]["lsd_high_db"] < baselines["folded"]["lsd_high_db"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_models")
def test_lines_and_levels(run, corpus, capsys):
    command = ["robustness", str(run.path), "--data", str(corpus), "--limit", "2", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert [line["condition"] for line in found["lines"]] == list(CONDITIONS)
    assert all(np.isfinite(line["lsd_high_db"]) for line in found["lines"])


@pytest.mark.slow
def test_what_can_be_listened_to(run, corpus):
    data = run.data([corpus], ("val",))
    items = data.evaluation_list("val")[:2]
    with network(run, "integer") as opened_network:
        heard = EXPERIMENT.task.sounds(opened_network, data, items, run.experiment.setup)
    narrow, wide = (to_float(x) for x in data.evaluation_arrays(items))
    for sound, given, wanted in zip(heard, narrow, wide, strict=True):
        np.testing.assert_array_equal(sound.given, given)
        np.testing.assert_array_equal(sound.wanted, wanted)
        assert sound.made.shape == given.shape and sound.sample_rate_hz == HZ


@pytest.mark.slow
def test_exported(run, tmp_path):
    export(run, tmp_path / "artifact", [])
    assert (tmp_path / "artifact/firmware/bandwidth.h").is_file()
    readme = (tmp_path / "artifact/firmware/README.md").read_text()
    assert "# Bandwidth extension" in readme


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [8000, 11025])
def test_files(run, tmp_path, rate_hz):
    sound = 0.1 * np.random.default_rng(0).standard_normal((rate_hz * 7 // 5, 2))
    soundfile.write(tmp_path / "in.wav", sound, rate_hz, subtype="ULAW")
    streams = functools.partial(opened, run)
    found = convert_file(tmp_path / "in.wav", tmp_path / "out.wav", streams, rate_hz=HZ)
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.channels, info.subtype) == (HZ, 2, "PCM_16")
    assert info.frames == len(sound) * HZ // rate_hz and found["seconds"] == info.frames / HZ
    assert found["delay_ms"] == 16 and (tmp_path / "out.png").stat().st_size > 1000


@pytest.mark.slow
def test_command(run, tmp_path, capsys):
    soundfile.write(tmp_path / "in.wav", noise(8000), 8000)
    arguments = ["extend", str(tmp_path / "in.wav"), str(tmp_path / "out.flac"), str(run.path)]
    assert main([*arguments, "--stream", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sample_rate_hz"] == HZ
    soundfile.write(tmp_path / "in.wav", noise(HZ), HZ)
    assert main(arguments) == 2
    assert "16000 Hz; allowed: below 16000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bandwidth(clip_ms=64), "clip_ms is 64"),
        (lambda: Adversary(weight=1.0, rates=(), windows_ms=()), "no discriminator"),
        (lambda: SpectralLoss(log_weight=-1.0), "log_weight"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadInput, match=message):
        make()


def test_the_default_is_an_artifact_by_name():
    from aqtaudio.commands.bandwidth import FRONT

    run = Run(FRONT)
    assert isinstance(run.experiment.task, Bandwidth)
    assert run.experiment.task.loss.disturbance_weight == 3.0


def test_what_does_not_fit():
    setup = EXPERIMENT.setup
    EXPERIMENT.task.require_answers((2, *setup.feature_shape), setup)
    with pytest.raises(BadInput, match="as many samples as it hears"):
        EXPERIMENT.task.require_answers((2, 16, 128), setup)
