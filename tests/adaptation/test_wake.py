"""A phrase becomes a detector: voices, training, thresholds, a page; and goes on where it was."""

import dataclasses
import json

import pytest
from corpus import EXPERIMENT
from tone_engine import Tones

from aqtaudio.adaptation import wake as made
from aqtaudio.data import cache_folder, manifest
from aqtaudio.data.mixing import Mixing
from aqtaudio.data.spoken_texts import spoken
from aqtaudio.detection import stored
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.models.embedding_head import EmbeddingHead
from aqtaudio.tasks.keywords.spotting import Spotting

pytestmark = pytest.mark.optimized(False)
STEPS = Optimizer(steps=20, batch_size=32, learning_rate=2e-2, warmup_steps=5)
HEAD = Experiment(
    model=EmbeddingHead(width=4, hidden=4),
    task=Spotting(("x",), clip_ms=500, mixing=Mixing(reverb_probability=0.0), scenes_per_clip=1),
    frontend=EXPERIMENT.frontend,
    optimizer=STEPS,
    finetune=dataclasses.replace(STEPS, steps=4, learning_rate=2e-3),
    calibration_batches=1,
    stream_block_frames=1,
    stream_context_clips=0,
    evaluate_every=20,
    checkpoint_every=20,
)


def test_a_detector_and_its_page(tone_corpus, hum_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "cache"))
    phrases, near = [spoken("hey tone")], {spoken("hey stone"): "hey tone"}
    engine = Tones(24)
    sources = made.Sources(phrases, near, engine, (), [tone_corpus])
    settings = made.WakeSettings(takes=24, neighbour_takes=12, hours=0.01)
    told: list[str] = []
    run, value = made.wake(sources, HEAD, tmp_path / "out", settings, told.append)
    assert [line[:6] for line in told if " of 4: " in line] == [f"{n} of 4" for n in (1, 2, 3, 4)]
    assert set(stored.read(run.path) or {}) == {"hey tone"}
    assert value["scenes"]["hey tone"]["neighbours"]["n"] > 0
    assert set(value["conditions"]["-50 dBFS"]) == {"hey tone"}
    page = (tmp_path / "out" / made.PAGE).read_text()
    assert "# hey tone" in page and "What to do next" in page
    said = engine.said
    before = (run.path / "checkpoint").stat().st_mtime_ns
    again, _ = made.wake(sources, HEAD, tmp_path / "out", settings)
    assert engine.said == said and again.path == run.path
    assert (run.path / "checkpoint").stat().st_mtime_ns == before
    other = dataclasses.replace(sources, negatives=[tone_corpus, hum_corpus])
    with pytest.raises(BadInput, match="other settings or recordings"):
        made.wake(other, HEAD, tmp_path / "out", settings)
    assert json.loads((run.path / "row.json").read_text())["parity"]["mismatches"] == 0


def test_what_is_missing_is_said(tmp_path, refused, tone_corpus):
    """Before anything is spoken."""
    silent = made.Sources([spoken("x")], {}, Tones(24), (), [tmp_path])
    with pytest.raises(BadInput, match="no MANIFEST.tsv"):
        made.wake(silent, HEAD, tmp_path / "x")
    rows = [row for row in manifest.read(tone_corpus) if not row.label.startswith("noise:")]
    manifest.write(tmp_path, rows)
    with pytest.raises(BadInput, match="no speech or noise in split 'train'"):
        made.wake(silent, HEAD, tmp_path / "x")
    rows = [
        dataclasses.replace(row, label="speech" if row.label.startswith("noise:") else row.label)
        for row in manifest.read(tone_corpus)
    ]
    manifest.write(tmp_path, rows)
    with pytest.raises(BadInput, match="no noise in split 'val' of .*, for thresholds"):
        made.wake(silent, HEAD, tmp_path / "x")
    with pytest.raises(BadInput, match="at least 24"):
        made.WakeSettings(takes=3)
    manifest.write(tmp_path, manifest.read(tone_corpus))
    with pytest.raises(BadInput, match="is there already; allowed: a new folder, or one that"):
        made.wake(silent, HEAD, tmp_path)  # somebody's recordings
    assert silent.engine.said == 0 and not (tmp_path / "x").exists()
    assert "--negatives DIR is missing" in refused("wake", "hey tone", "--out", tmp_path / "x")


@pytest.mark.slow
def test_a_detector_that_stands_alone(tone_corpus, tmp_path, monkeypatch):
    """It learns from the one before, and is served in its place."""
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "cache"))
    taught = dataclasses.replace(HEAD, model=EmbeddingHead(width=3, hidden=2))
    sources = made.Sources([spoken("hey tone")], {}, Tones(24), (), [tone_corpus])
    settings = made.WakeSettings(takes=24, hours=0.01)
    told: list[str] = []
    run, value = made.wake(sources, HEAD, tmp_path / "out", settings, told.append, None, taught)
    assert [line[:6] for line in told if " of 5: " in line] == [f"{n} of 5" for n in range(1, 6)]
    assert run.path == tmp_path / "out" / made.ALONE
    assert value["file_bytes"] == len(run.model) <= settings.file_bytes
    task = Spotting.of(run.experiment.task)
    assert task.teacher == str(tmp_path / "out/head") and task.keywords == ("hey tone",)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert any("apart" in json.loads(line) for line in lines)


def test_a_detector_that_is_too_large_is_refused_first(tone_corpus, tmp_path):
    sources = made.Sources([spoken("hey tone")], {}, Tones(24), (), [tone_corpus])
    small = made.WakeSettings(takes=24, hours=0.01, file_bytes=1000)
    with pytest.raises(BadInput, match="takes .* bytes; allowed"):
        made.wake(sources, HEAD, tmp_path / "small", small, alone=HEAD)
    assert sources.engine.said == 0 and not (tmp_path / "small").exists()
