"""Probes are at the optimum, carry their standardisation, and choose by validation alone."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.special import expit, softmax, xlogy

from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding import probe_training
from aqtaudio.tasks.embedding.probe_training import ProbeSettings, fit
from aqtaudio.tasks.embedding.probes import POOLINGS, Dense, Labelled, Probe, pooled, read
from aqtaudio.tasks.embedding.protocols import few_shot, over_folds

pytestmark = pytest.mark.optimized(False)

CLASSES = ("up", "down", "left")
ONE = ProbeSettings(strengths=(0.01,))


def clusters(n: int = 60, dimensions: int = 6, spread: float = 1.0, seed: int = 0) -> Labelled:
    """Three classes, as many clips of each, in int8 as a device has them."""
    centres = 30 * np.random.default_rng(99).standard_normal((3, dimensions))
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    x = centres[labels] + 30 * spread * draw.standard_normal((n, dimensions))
    return Labelled(np.clip(np.round(x), -128, 127).astype(np.int8), labels)


def sequences(n: int = 60, frames: int = 5) -> Labelled:
    flat = clusters(n * frames)
    x = flat.embeddings.reshape(n, frames, -1)
    return Labelled(x, flat.labels.reshape(n, frames)[:, 0])


def tags(n: int = 60, seed: int = 0) -> Labelled:
    """Two tags, each in one direction."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, 4))
    return Labelled(x, (x[:, :2] + 0.3 * draw.standard_normal((n, 2)) > 0.5).astype(np.int64))


def test_the_linear_probe_is_at_its_optimum():
    """The gradient of the loss, by hand on standardised embeddings, is zero."""
    data, settings = clusters(), dataclasses.replace(ONE, iterations=1000)
    probe = fit(data, None, CLASSES, settings)
    x = data.embeddings.astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    kernel = probe.layers[0].kernel * deviation[:, None]
    wrong = probe.probabilities(x) - np.eye(3)[data.labels]
    gradient = ((x - mean) / deviation).T @ wrong / len(x) + 0.01 * kernel
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    np.testing.assert_allclose(wrong.mean(axis=0), 0, atol=1e-4)
    assert np.abs(kernel).max() > 0.1


@pytest.mark.parametrize("hidden", [(), (8,)], ids=["linear", "mlp"])
def test_the_standardiser_is_in_the_first_layer(hidden: tuple[int, ...]):
    """Whatever codes stand for: scale and zero point of every dimension change no logit."""
    data = clusters()
    # Hidden layers have no single optimum: after many iterations rounding would show.
    settings = dataclasses.replace(ONE, hidden=hidden, iterations=10 if hidden else 200)
    scale, zero = 10.0 ** np.arange(-3, 3), np.linspace(-100, 100, 6)
    real = Labelled(scale * (data.embeddings - zero), data.labels)
    of_codes, of_real = (fit(x, None, CLASSES, settings) for x in (data, real))
    other = clusters(30, seed=1).embeddings
    np.testing.assert_allclose(
        of_codes.logits(other), of_real.logits(scale * (other - zero)), atol=1e-4
    )


@pytest.mark.parametrize("hidden", [(), (8,)], ids=["linear", "mlp"])
def test_layers_are_those_that_were_trained(hidden: tuple[int, ...], monkeypatch):
    """Standardised by hand, the weights of training give the logits of the folded layers."""
    trained = []

    def kept(*arguments):
        trained.append(original(*arguments))
        return trained[-1]

    original = probe_training._trained
    monkeypatch.setattr(probe_training, "_trained", kept)
    data = clusters()
    probe = fit(data, None, CLASSES, dataclasses.replace(ONE, hidden=hidden))
    x = data.embeddings.astype(np.float64)
    y = (x - x.mean(axis=0)) / x.std(axis=0)
    layers = trained[0][0]
    for kernel, bias in layers[:-1]:
        y = np.maximum(y @ kernel + bias, 0)
    y = y @ layers[-1][0] + layers[-1][1]
    np.testing.assert_allclose(probe.logits(data.embeddings), y, atol=1e-9)
    # As one program would have it: nothing but the listed layers.
    z = x
    for layer in probe.layers:
        z = z @ layer.kernel + layer.bias
        z = np.maximum(z, 0) if layer.relu else z
    np.testing.assert_allclose(z, y, atol=1e-9)
    assert [layer.relu for layer in probe.layers] == [True] * len(hidden) + [False]


def test_a_dead_dimension_is_ignored():
    data = clusters()
    x = data.embeddings.astype(np.float64)
    x[:, 2] = -128
    probe = fit(Labelled(x, data.labels), None, CLASSES, dataclasses.replace(ONE, hidden=(8,)))
    woken = x.copy()
    woken[:, 2] = 127
    np.testing.assert_array_equal(probe.logits(woken), probe.logits(x))


@pytest.mark.parametrize("hidden", [(), (8,)], ids=["linear", "mlp"])
def test_the_same_again(hidden: tuple[int, ...]):
    train, validation = clusters(), clusters(30, seed=1)
    settings = ProbeSettings(hidden=hidden)
    a, b = (fit(train, validation, CLASSES, settings) for _ in range(2))
    assert a.strength == b.strength
    for x, y in zip(a.layers, b.layers, strict=True):
        np.testing.assert_array_equal(x.kernel, y.kernel)
        np.testing.assert_array_equal(x.bias, y.bias)


def test_hidden_layers_start_by_the_seed():
    settings = [dataclasses.replace(ONE, hidden=(8,), seed=seed) for seed in (0, 1)]
    a, b = (fit(clusters(), None, CLASSES, own).layers[0].kernel for own in settings)
    assert not np.allclose(a, b)


def test_a_hidden_layer_knows_what_a_line_cannot():
    """Exclusive or."""
    x = np.zeros((180, 6))
    x[:, :2] = np.random.default_rng(0).uniform(-1, 1, (180, 2))
    data = Labelled(x, (x[:, 0] * x[:, 1] > 0).astype(np.int64))
    train, validation, test = (data.at(np.arange(180) % 3 == k) for k in range(3))
    linear, mlp = (
        fit(train, validation, CLASSES, ProbeSettings(hidden=hidden)).scores(test)["accuracy"]
        for hidden in ((), (8,))
    )
    assert linear < 0.7 and mlp > 0.85


def test_strength_is_chosen_on_validation_alone():
    """Labels without a meaning want the strongest; clear ones a weak one. Training is the same."""
    train, clear = clusters(spread=0.3), clusters(60, spread=0.3, seed=1)
    settings = ProbeSettings(strengths=(10.0, 1e-2, 1e-5))
    noise = Labelled(clear.embeddings, np.random.default_rng(0).integers(0, 3, 60))
    probes = [fit(train, validation, CLASSES, settings) for validation in (clear, noise)]
    assert probes[0].strength < 1 and probes[1].strength == 10.0
    losses = {}
    for strength in settings.strengths:
        alone = fit(train, None, CLASSES, dataclasses.replace(settings, strengths=(strength,)))
        losses[strength] = alone.loss(clear)
        if strength == probes[0].strength:
            np.testing.assert_allclose(
                alone.logits(clear.embeddings), probes[0].logits(clear.embeddings), atol=0.01
            )
    assert probes[0].strength == min(losses, key=losses.__getitem__)


@pytest.mark.parametrize(
    ("inputs", "hidden", "parameters"),
    [
        (512, (128, 128), 83_208),
        (256, (128, 128), 50_440),
        (128, (128, 128), 34_056),
        (64, (128, 128), 25_864),
        (512, (), 4_104),
        (64, (), 520),
    ],
)
def test_sizes_of_the_published_heads(inputs: int, hidden: tuple[int, ...], parameters: int):
    layers, _ = probe_training._start(inputs, 8, ProbeSettings(hidden, multi_label=True))
    dense = tuple(Dense(kernel, bias, True) for kernel, bias in layers)
    assert Probe(dense, tuple("abcdefgh"), True, "mean", 0.0).parameters == parameters


def test_pooling():
    x = np.arange(12).reshape(1, 3, 4) % 5
    assert pooled(x, "mean_max").tolist() == [[7 / 3, 5 / 3, 1, 2, 4, 4, 2, 3]]
    assert pooled(x, "mean").shape == pooled(x, "max").shape == (1, 4)
    assert pooled(x, "flatten").tolist() == [(np.arange(12) % 5).tolist()]
    assert pooled(x, "auto").shape == (1, 3, 4)
    for pooling in set(POOLINGS) - {"auto"}:
        np.testing.assert_array_equal(pooled(x[0], pooling), x[0])


@pytest.mark.parametrize("pooling", ["mean", "max", "flatten"])
def test_sequences(pooling: str):
    data = sequences()
    settings = dataclasses.replace(ONE, pooling=pooling)
    probe = fit(data, None, CLASSES, settings)
    same = fit(Labelled(pooled(data.embeddings, pooling), data.labels), None, CLASSES, settings)
    np.testing.assert_array_equal(
        probe.logits(data.embeddings), same.logits(pooled(data.embeddings, pooling))
    )


def test_losses_are_cross_entropies():
    for data, names, settings in (
        (clusters(), CLASSES, ONE),
        (tags(), "ab", dataclasses.replace(ONE, multi_label=True)),
    ):
        probe = fit(data, None, names, settings)
        found = probe.probabilities(data.embeddings)
        if settings.multi_label:
            expected = np.mean(xlogy(data.labels, found) + xlogy(1 - data.labels, 1 - found))
        else:
            expected = np.mean([np.log(p[k]) for p, k in zip(found, data.labels, strict=True)])
        assert probe.loss(data) == pytest.approx(-expected)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000, 1200, 99_999])
def test_few_shapes_are_compiled(n: int):
    rounded = probe_training._rounded_up(n)
    assert rounded >= n and (rounded <= 1.25 * n or rounded == 64)
    assert len({probe_training._rounded_up(k) for k in range(1, n + 1)}) <= 4 * n.bit_length()


def test_tags_are_sigmoids():
    data, settings = tags(), ProbeSettings(multi_label=True)
    probe = fit(data, tags(seed=1), "ab", settings)
    test = tags(200, seed=2)
    probabilities = probe.probabilities(test.embeddings)
    np.testing.assert_allclose(probabilities, expit(probe.logits(test.embeddings)))
    assert probe.scores(test)["micro_auprc"] > 0.9
    classes = fit(clusters(), None, CLASSES, ONE)
    x = clusters().embeddings
    np.testing.assert_allclose(classes.probabilities(x), softmax(classes.logits(x), axis=1))


def events(seed: int) -> Labelled:
    """Eight frames of noise; in clips with the tag one frame, anywhere, is an event."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((120, 8, 3))
    labels = draw.integers(0, 2, (120, 1))
    x[np.arange(120), draw.integers(0, 8, 120), 0] += 6 * labels[:, 0]
    return Labelled(x, labels)


@pytest.mark.slow
def test_auto_pool_finds_short_events():
    scores = {}
    for pooling in ("auto", "mean"):
        settings = ProbeSettings(multi_label=True, pooling=pooling)
        probe = fit(events(0), events(1), ("event",), settings)
        scores[pooling] = probe.scores(events(2))["micro_auprc"]
        if pooling == "auto":
            assert probe.sharpness is not None and probe.sharpness[0] > 1
            frames = expit(probe.logits(events(2).embeddings))
            weights = np.exp(probe.sharpness * frames)
            expected = np.sum(weights * frames, axis=1) / np.sum(weights, axis=1)
            np.testing.assert_allclose(probe.probabilities(events(2).embeddings), expected)
    assert scores["auto"] > 0.98 > scores["mean"] + 0.03


def test_auto_pool_is_between_mean_and_maximum():
    """A tag of sounds without a gap would want the minimum, a negative sharpness."""
    silent = events(0)
    settings = ProbeSettings(multi_label=True, pooling="auto", strengths=(1e-3,))
    probe = fit(Labelled(silent.embeddings, 1 - silent.labels), None, ("steady",), settings)
    assert probe.sharpness is not None and 0 <= probe.sharpness[0] < 0.01


@pytest.mark.parametrize("pooling", ["mean_max", "auto"])
def test_read_back_to_the_same_numbers(pooling: str, tmp_path: Path):
    data, settings, names = clusters(), dataclasses.replace(ONE, hidden=(8,)), CLASSES
    if pooling == "auto":
        settings = ProbeSettings(multi_label=True, pooling=pooling, strengths=(0.1,))
        data, names = events(0), ("event",)
    probe = fit(data, None, names, settings)
    probe.save(tmp_path / "probe.npz")
    again = read(tmp_path / "probe.npz")
    for name in ("classes", "multi_label", "pooling", "strength"):
        assert getattr(again, name) == getattr(probe, name)
    assert [layer.relu for layer in again.layers] == [layer.relu for layer in probe.layers]
    np.testing.assert_array_equal(
        again.probabilities(data.embeddings), probe.probabilities(data.embeddings)
    )


def test_another_file_is_refused(tmp_path: Path):
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", mean=np.zeros(3))
    for name in ("text.npz", "other.npz", "absent.npz"):
        with pytest.raises(BadInput, match="not a probe"):
            read(tmp_path / name)


def test_more_clips_know_more():
    train, test = clusters(300, spread=1.2), clusters(150, spread=1.2, seed=1)
    validation = clusters(60, spread=1.2, seed=2)
    settings = ProbeSettings(strengths=(1.0, 0.1))
    found = few_shot(train, validation, test, CLASSES, settings, shots=(1, 10), draws=4)
    assert found[1]["mean"] < found[10]["mean"] and found[10]["mean"] > 0.75
    for scores in found.values():
        assert len(set(scores["values"])) > 1  # other clips in each draw
        low, high = scores["interval"]
        assert low < scores["mean"] < high
    again = few_shot(train, validation, test, CLASSES, settings, shots=(10,), draws=2)
    assert again[10]["values"] == found[10]["values"][:2]


def test_all_clips_are_one_draw():
    data = clusters(30)
    found = few_shot(data, None, clusters(60, seed=1), CLASSES, ONE, shots=(10,), draws=2)
    whole = fit(data, None, CLASSES, ONE).scores(clusters(60, seed=1))["accuracy"]
    assert found[10]["values"] == [whole, whole]


def test_folds_are_scored_by_others():
    """Fold 2 has every label wrong: whoever learnt from the others gets none of it right."""
    data, folds = clusters(100, spread=0.1), np.arange(100) // 3 % 5
    labels = np.where(folds == 2, (data.labels + 1) % 3, data.labels)
    settings = ProbeSettings(strengths=(0.1, 0.01))
    found = over_folds(Labelled(data.embeddings, labels), folds.tolist(), CLASSES, settings)
    assert found["folds"] == [0, 1, 2, 3, 4]
    assert found["values"][2] == 0 and min(np.delete(found["values"], 2)) > 0.8
    right = sum(v * np.sum(folds == f) for v, f in zip(found["values"], range(5), strict=True))
    assert found["n"] == 100 and found["accuracy"] == pytest.approx(right / 100)
    assert found["wilson"][0] < found["accuracy"] < found["wilson"][1]


def test_folds_of_tags():
    settings = ProbeSettings(multi_label=True, strengths=(0.01,))
    found = over_folds(tags(90), (np.arange(90) % 3).tolist(), "ab", settings)
    assert found["mean"] > 0.85 and "wilson" not in found and len(found["values"]) == 3


def test_x64_is_not_left_on():
    fit(clusters(), None, CLASSES, ONE)
    assert jax.numpy.ones(1).dtype == np.float32


DATA = clusters(30)
PROBE = Probe((), CLASSES, False, "mean", 0.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ProbeSettings(pooling="sum"), "allowed: mean_max, mean, max, flatten, auto"),
        (lambda: ProbeSettings(pooling="auto"), "auto-pool of a probe is of tags"),
        (lambda: ProbeSettings(hidden=(0,)), "allowed: 1 or more"),
        (lambda: ProbeSettings(strengths=()), "allowed: some"),
        (lambda: ProbeSettings(strengths=(np.nan,)), "allowed: some, 0 or more"),
        (lambda: ProbeSettings(iterations=0), "0 iterations"),
        (lambda: Labelled(np.ones((3, 2)), np.zeros(2, int)), r"\[3, 2\] with labels \[2\]"),
        (lambda: Labelled(np.ones((0, 2)), np.zeros(0, int)), "allowed"),
        (lambda: Labelled(np.full((1, 2), np.inf), np.zeros(1, int)), "NaN or infinite"),
        (lambda: fit(DATA, None, CLASSES, ProbeSettings()), "6 strengths of a probe and no valid"),
        (lambda: fit(DATA, None, "ab", ONE), "labels from 0 to 2; allowed: 0 to 1"),
        (
            lambda: fit(Labelled(DATA.embeddings, DATA.labels / 2), None, CLASSES, ONE),
            "whole numbers",
        ),
        (
            lambda: fit(tags(), None, "abc", dataclasses.replace(ONE, multi_label=True)),
            r"\[60, 2\] of 3 tags; allowed: \[clips, 3\]",
        ),
        (
            lambda: fit(DATA, None, CLASSES, ONE).logits(np.ones((1, 5))),
            "5 values for a probe of 6",
        ),
        (lambda: pooled(np.ones((2, 3)), "auto"), r"\[2, 3\] for auto-pool"),
        (
            lambda: few_shot(DATA, None, DATA, CLASSES, ONE, shots=(11,)),
            "class 'up' has 10 clips to draw 11 from",
        ),
        (lambda: few_shot(DATA, None, DATA, CLASSES, ONE, draws=0), "0 draws"),
        (
            lambda: few_shot(tags(), None, tags(), "ab", ProbeSettings(multi_label=True)),
            "clips with tags",
        ),
        (lambda: over_folds(DATA, [0, 1] * 15, CLASSES, ONE), "2 folds of 30 clips"),
    ],
)
def test_bad_input(call, said: str):
    with pytest.raises(BadInput, match=said):
        call()
