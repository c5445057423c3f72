"""A teacher's vectors in fewer dimensions: as a teacher, as a command; and bad input."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from hum_corpus import RATE_HZ, SPEAKERS, BandTeacher, write_hum_corpus
from speech_weights import SMALL, made_arrays

from aqtaudio.commands.command_line import main
from aqtaudio.data import cache_folder
from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.frontends.speech_energies import SPEECH_ENERGIES
from aqtaudio.tasks.embedding import cache
from aqtaudio.tasks.embedding.data import EmbeddingData
from aqtaudio.tasks.embedding.reducing import explained, vectors_of
from aqtaudio.tasks.embedding.reduction import Moments, fit, read
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Published, Reduced

pytestmark = pytest.mark.optimized(False)
CONFIG = """
from hum_corpus import BandTeacher
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.decibels import WindowDecibels
from aqtaudio.models.l3_net import L3Net
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Reduced

EXPERIMENT = Experiment(
    model=L3Net((2, 2, 4, 3)),
    task=Embedding(
        Reduced(BandTeacher(), "none.npz"), clip_ms=1000, teacher_hears="recordings",
        foreground="any", mixing=None, skipped=0,
    ),
    frontend=WindowDecibels(),
)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_hum_corpus(tmp_path_factory.mktemp("hums"))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Published:
    file = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(file, **made_arrays(SMALL))  # pyright: ignore[reportArgumentType]
    return Published(str(file), SMALL, SPEECH_ENERGIES)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "config.py").write_text(CONFIG)
    return tmp_path / "config.py"


def clips(count: int, samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-9000, 9000, (count, samples)).astype(np.int16)


def reduction_file(embeddings: np.ndarray, dimensions: int, file: Path) -> str:
    fit(Moments.of(embeddings), "whiten", dimensions).save(file)
    return str(file)


# As a teacher.


@pytest.mark.slow
def test_a_step_computes_what_embed_does(small, tmp_path):
    heard = clips(4, 19_440)
    whole = small.embed(heard)
    reduced = Reduced(small, reduction_file(whole.reshape(-1, 5), 3, tmp_path / "r.npz"))
    found = reduced.embed(heard)
    assert reduced.in_step and found.shape == (*whole.shape[:2], 3)
    traced = jax.jit(reduced.answers)(reduced.variables(), to_float(heard))
    np.testing.assert_allclose(traced, found, atol=2e-4)
    np.testing.assert_allclose(found.reshape(-1, 3).std(axis=0), 1, atol=1e-3)
    task = Embedding(reduced, clip_ms=1215)
    assert jax.tree.structure(task.given(None)) == jax.tree.structure(reduced.variables())


def test_what_is_kept_serves_every_reduction(tmp_path):
    heard = list(clips(3, 2 * RATE_HZ))
    vectors = cache.embedded(BandTeacher(), heard, tmp_path)
    kept = sorted((tmp_path / "teachers").rglob("*.npy"))
    file = reduction_file(BandTeacher().embed(clips(40, RATE_HZ)), 2, tmp_path / "r.npz")
    reduced = Reduced(BandTeacher(), file)
    assert not reduced.in_step
    for ours, theirs in zip(cache.embedded(reduced, heard, tmp_path), vectors, strict=True):
        np.testing.assert_allclose(ours, read(Path(file))(theirs), rtol=1e-5, atol=1e-5)
    assert sorted((tmp_path / "teachers").rglob("*.npy")) == kept


def test_clips_of_recordings_are_embedded_together(tmp_path, monkeypatch):
    """Each recording has its vectors, whoever is beside it, and they are made once."""
    monkeypatch.setattr(cache, "TOGETHER", 3)
    heard = [
        x[: length * RATE_HZ + 17] for x, length in zip(clips(4, 50_000), (1, 3, 2, 1), strict=True)
    ]
    found = cache.embedded_in_clips(BandTeacher(), heard, RATE_HZ, tmp_path)
    for vectors, samples in zip(found, heard, strict=True):
        cut = samples[: len(samples) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ)
        np.testing.assert_array_equal(vectors, BandTeacher().embed(cut))
    next((tmp_path / "teachers").rglob("*.npy")).unlink()
    made = []
    embed = BandTeacher.embed
    monkeypatch.setattr(BandTeacher, "embed", lambda self, x: made.append(len(x)) or embed(self, x))
    again = cache.embedded_in_clips(BandTeacher(), heard, RATE_HZ, tmp_path)
    assert len(made) == 1
    for ours, theirs in zip(again, found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_bad_reductions(tmp_path):
    embeddings = BandTeacher(4).embed(clips(40, RATE_HZ))
    other = reduction_file(embeddings, 2, tmp_path / "other.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(Path(other).read_bytes()[:300])
    strange = tmp_path / "strange.npz"
    with np.load(other) as arrays:
        np.savez(strange, **(dict(arrays) | {"mean": np.zeros(3)}))  # pyright: ignore[reportArgumentType]
    cases = (
        ("none.npz", "no reduction none.npz"),
        (str(cut), "cut.npz: not a reduction"),
        (str(strange), "strange.npz: not a reduction"),
        (other, "is of 4 dimensions, the teacher answers with 8"),
    )
    for file, message in cases:
        with pytest.raises(BadInput, match=message):
            Reduced(BandTeacher(8), file).embed(clips(1, RATE_HZ))


# As a command.


def test_vectors_of_a_corpus(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path))
    data = EmbeddingData.load([corpus], RATE_HZ, RATE_HZ, ("train",), "any")
    found = vectors_of(BandTeacher(), data, 0, lambda _: None)
    heard = SPEAKERS["train"]
    assert found.embeddings.shape == (6 * heard, 8)  # a clip of each recording
    assert len(set(found.sources)) == heard + 2
    assert np.isfinite(found.levels_db).all() and np.ptp(found.levels_db) > 3
    with pytest.raises(BadInput, match="of which 1 are skipped"):
        vectors_of(BandTeacher(), data, 1, lambda _: None)


@pytest.mark.parametrize("sampler", ["random", "relevance", "diversity", "both"])
def test_reduce(corpus, config, tmp_path, capsys, sampler):
    out = tmp_path / "reduction.npz"
    arguments = ["reduce", str(config), "--data", str(corpus), "--out", str(out), "--json"]
    arguments += ["--samples", "30", "--dimensions", "3", "--sampler", sampler]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["drawn"] == 30 and told["sources"] == 10 and told["vectors"] == 48
    assert 0 < told["explained_of_all"] < 1 and 0 < told["explained"] < 1
    kernel = told["near_duplicate_ratio"], told["near_duplicate_ratio_published"]
    if sampler in ("random", "relevance"):
        assert kernel == (1.0, 1.0)
    else:
        assert kernel[0] < 0.2 < kernel[1]
    reduced = Reduced(BandTeacher(), str(out)).embed(clips(2, RATE_HZ))
    assert reduced.shape == (2, 1, 3)
    first = read(out)
    assert main(arguments) == 0
    np.testing.assert_array_equal(read(out).components, first.components)


def test_all_dimensions_explain_everything():
    embeddings = BandTeacher().embed(clips(60, RATE_HZ))[:, 0]
    found = fit(Moments.of(embeddings), "whiten", 8)
    assert explained(found, embeddings) == pytest.approx(1)
    few = fit(Moments.of(embeddings), "pca", 3)
    assert explained(few, embeddings) == pytest.approx(few.explained.sum())


def test_bad_requests(corpus, config, tmp_path, capsys):
    base = ["reduce", str(config), "--data", str(corpus)]
    out = ["--out", str(tmp_path / "x.npz")]
    cases = (
        (["--samples", "30", "--dimensions", "9", *out], "9 dimensions of 8"),
        (["--samples", "30", "--kind", "standardise", "--dimensions", "3", *out], "keeps all 8"),
        (["--samples", "30", "--out", "x.txt"], "ends in .npz"),
        (["--samples", "30", "--seed", "-1", *out], "--seed"),
        (["--samples", "30", *out, "--task.teacher.weights", "x"], "unknown setting"),
    )
    for arguments, message in cases:
        assert main([*base, *arguments]) == 2, arguments
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()
