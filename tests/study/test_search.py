"""Laws of searches: the same proposals whatever happens, every run once, a front without twins."""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_search
import pytest
from fake_search import FAILS, LAYERS, Experiment, launch, search, small

from aqtaudio.errors import BadInput
from aqtaudio.study.engine import Local
from aqtaudio.study.search import Trial, front
from aqtaudio.study.store import Store


def record(out):
    return json.loads((out / "search.json").read_text())


def front_choices(out):
    found = record(out)
    return [found["trials"][number]["choice"] for number in found["front"]]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The undisturbed search, of runs that take a moment."""
    out = tmp_path_factory.mktemp("undisturbed")
    search(out, small(experiment=Experiment(seconds=0.1)), engine=Local(workers=2))
    return out


def failing(is_bad):
    def command(specs):
        if is_bad(specs[0].run.experiment):
            return [sys.executable, "-IS", "-c", FAILS]
        return launch(specs)

    return command


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_every_choice_is_one_run_however_often_it_is_proposed(tmp_path, sampler):
    # 8 choices in 24 trials: many come again.
    space = {name: (8, 2) for name in LAYERS}
    outcome = search(tmp_path, small(sampler=sampler, space=space))
    rows, trials = Store(tmp_path).rows(), record(tmp_path)["trials"]
    choices = {tuple(trial["choice"].items()) for trial in trials}
    assert len(trials) == 24 and len(rows) == len(choices) < 24
    assert outcome.entered == [row["run_id"] for row in rows]
    figures = {}
    for trial in trials:
        known = figures.setdefault(trial["run_ids"][0], trial["figures"])
        assert trial["figures"] == known == list(Experiment(**trial["choice"]).figures)
    starts = [path.read_text() for path in tmp_path.glob("work/*/starts")]
    assert starts == ["started\n"] * len(rows)


def test_the_front_is_what_no_trial_beats_and_has_no_twins(expected):
    found = record(expected)
    figures = [tuple(trial["figures"]) for trial in found["trials"]]
    chosen = [figures[number] for number in found["front"]]
    assert len(set(chosen)) == len(chosen)
    for quality, cost in set(figures):
        beaten = any(q >= quality and c <= cost and (q, c) != (quality, cost) for q, c in figures)
        assert ((quality, cost) in chosen) != beaten


def test_the_trials_to_begin_with_come_first(expected):
    assert [trial["choice"] for trial in record(expected)["trials"][:2]] == small().first


def test_the_sampler_hears_the_figures(tmp_path):
    """Later generations are nearer to the front of all 64 choices than the drawn first one."""
    search(tmp_path, small(first=(), trials=48))
    whole = [
        Trial({}, (), Experiment(**dict(zip(LAYERS, bits, strict=True))).figures)
        for bits in itertools.product((8, 6, 4, 2), repeat=3)
    ]
    best = {trial.figures for trial in front(whole)}
    hits = [tuple(trial["figures"]) in best for trial in record(tmp_path)["trials"]]
    assert sum(hits[-16:]) / 16 > sum(hits[:8]) / 8
    assert sum(hits[-16:]) >= 8


def test_a_front_of_equal_figures_has_the_first():
    trials = [Trial({"n": n}, (), figures) for n, figures in enumerate([(1, 2), None, (1, 2)])]
    assert front(trials) == trials[:1]


def test_proposals_follow_from_the_seed_alone(tmp_path, expected):
    """Not from how many jobs run at once, nor from how long they take."""
    search(tmp_path / "one", small())
    choices = [trial["choice"] for trial in record(tmp_path / "one")["trials"]]
    assert choices == [trial["choice"] for trial in record(expected)["trials"]]
    search(tmp_path / "other", small(seed=1))
    assert choices != [trial["choice"] for trial in record(tmp_path / "other")["trials"]]


def test_resume_runs_nothing_again(tmp_path):
    first = search(tmp_path)
    before = (tmp_path / "search.json").read_bytes()
    with pytest.raises(BadInput, match="--resume"):
        search(tmp_path)
    again = search(tmp_path, launch=None, resume=True)
    assert (again.entered, sorted(again.skipped)) == ([], sorted(first.entered))
    assert (tmp_path / "search.json").read_bytes() == before


def test_more_trials_go_on_where_fewer_ended(tmp_path):
    search(tmp_path / "few", small(trials=16))
    search(tmp_path / "few", small(trials=24), resume=True)
    search(tmp_path / "all", small(trials=24))
    assert record(tmp_path / "few") == record(tmp_path / "all")


def test_killed_again_and_again_it_ends_as_if_undisturbed(tmp_path, expected):
    draws = random.Random(0)
    command = [sys.executable, str(Path(fake_search.__file__)), str(tmp_path)]
    for _ in range(5):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        begun = len(list(tmp_path.glob("work/*/starts"))) + draws.randint(1, 3)
        while len(list(tmp_path.glob("work/*/starts"))) < begun:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(draws.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    ids = [sorted(row["run_id"] for row in Store(out).rows()) for out in (tmp_path, expected)]
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0])
    assert record(tmp_path) == record(expected)


def test_a_failed_run_counts_and_is_replaced(tmp_path):
    outcome = search(tmp_path, launch=failing(lambda e: e.first == 2))
    trials = record(tmp_path)["trials"]
    assert len(trials) == 24 and outcome.failed
    failed = [number for number, trial in enumerate(trials) if trial["figures"] is None]
    assert failed and all(trials[number]["choice"]["first"] == 2 for number in failed)
    assert not set(failed) & set(record(tmp_path)["front"])
    healed = search(tmp_path, resume=True)
    assert set(outcome.failed) & set(healed.entered) and not healed.failed
    ids = [row["run_id"] for row in Store(tmp_path).rows()]
    assert len(ids) == len(set(ids))


def test_a_generation_in_which_all_fail_is_the_last(tmp_path):
    outcome = search(tmp_path, launch=failing(lambda e: True))
    assert outcome.failed and len(record(tmp_path)["trials"]) == 8


def test_runs_without_the_figures_end_it(tmp_path):
    with pytest.raises(BadInput, match="does not have metrics 'f1'"):
        search(tmp_path, small(metric="f1"))


def test_a_search_may_name_its_own_quality(tmp_path):
    search(tmp_path / "own", small(metric="accuracy", trials=8), metric="f1")
    search(tmp_path / "given", small(trials=8))
    assert record(tmp_path / "own") == record(tmp_path / "given")
    with pytest.raises(BadInput, match="does not have metrics 'f1'"):
        search(tmp_path / "none", small(trials=8), metric="f1")


def test_several_runs_of_a_trial_count_with_their_mean(tmp_path):
    seeds = small(runs=lambda choice: [{**choice, "seed": seed} for seed in (0, 1)], trials=8)
    search(tmp_path, seeds)
    for trial in record(tmp_path)["trials"]:
        quality, cost = Experiment(**trial["choice"]).figures
        assert len(trial["run_ids"]) == 2
        assert trial["figures"] == pytest.approx([quality + 0.005, cost])


def test_grid_comes_first_and_parents_once(tmp_path):
    what = small(
        grid=[{"first": 5}], runs=lambda choice: {**choice, "init_from": {"seed": 3}}, trials=8
    )
    search(tmp_path, what)
    rows = Store(tmp_path).rows()
    assert rows[0]["config_delta"] == {"first": 5}
    parents = [row["run_id"] for row in rows if row["config_delta"] == {"seed": 3}]
    assert len(parents) == 1 and all(row["parent"] == parents[0] for row in rows[2:])


def test_searches_of_one_study_share_its_rows(tmp_path):
    search(tmp_path, small(trials=8))
    kept = (tmp_path / "search.json").read_bytes()
    outcome = search(tmp_path, small(trials=8, label="again"), launch=None, resume=True)
    assert not outcome.entered and (tmp_path / "search.json").read_bytes() == kept
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(kept)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": lambda choice: {"frist": choice["first"]}}, "frist; allowed: first, middle"),
        ({"grid": [{"lats": 1}]}, "lats; allowed: first, middle"),
        ({"runs": lambda choice: {"n": 1} if choice["last"] == 2 else choice}, "n; allowed"),
        ({"runs": lambda choice: []}, "no delta"),
        ({"costs": ("bitsop",)}, "allowed: file_bytes, arena_bytes"),
        ({"metric": "miss_rate"}, "less of it is better"),
    ],
)
def test_what_is_wrong_is_known_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(BadInput, match=message):
        search(tmp_path / "out", small(**changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "letters"),
        ({"space": {}}, "variables"),
        ({"space": {"first": ()}}, "values"),
        ({"costs": ()}, "costs"),
        ({"trials": 4}, "generation is 8"),
        ({"sampler": "nsga3"}, "allowed: nsga2, tpe"),
        ({"first": [{"first": 8}]}, "variables are first, middle, last"),
        ({"first": [dict.fromkeys(LAYERS, 3)]}, "allowed: 8, 6, 4, 2"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        small(**changes)
