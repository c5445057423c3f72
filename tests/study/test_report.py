"""Laws of the report: every run is in it, nothing is fetched, figures and tables for everything."""

import csv
import json
import re
import shutil

import pytest
from fake_rows import fake_enhancement_rows, fake_row, fake_rows

from aqtaudio.errors import BadInput
from aqtaudio.study.comparison import write_comparison
from aqtaudio.study.marks import marks
from aqtaudio.study.pareto import front_runs, groups, points
from aqtaudio.study.pen import Pen
from aqtaudio.study.report import write_report
from aqtaudio.study.store import Store

# Matplotlib warns where a figure has no range or no room.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning", "error::UserWarning")

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&$x"
COSTS = {"file_bytes", "arena_bytes", "weight_bytes", "params", "macs", "bitops"}
COSTS |= {"linear_cost", "macs_per_second"}


def page_data(text):
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert len(found) == 1
    return json.loads(found[0])


def column(data, *path):
    (found,) = (one for one in data["columns"] if one["path"] == list(path))
    if "at" in found:
        return [None if at < 0 else found["words"][at] for at in found["at"]]
    return found["values"]


def lines(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def study_of(folder, rows, name="a <study> & $more"):
    store = Store(folder / name)
    for row in rows:
        store.append(row)
    return store.folder


def cheap(rows):
    """Rows with one cost: a report with few figures."""
    for row in rows:
        row["costs"] = {"file_bytes": row["costs"]["file_bytes"]}
        del row["stream"]
    return rows


def detailed(rows):
    """Rows with what newer runs say: bits per layer, training clips, two commits."""
    for i, row in enumerate(rows):
        row["bits"] = {"stem": [8, 8], "block/depthwise": [4, 8 if i % 2 else 4]}
        row["metrics"]["train"] = {"accuracy": 0.99}
        row["commit"] = "first" if i < len(rows) / 2 else "second"
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = study_of(tmp_path_factory.mktemp("report"), detailed(fake_rows()))
    (made / "artifacts" / next(iter(front_runs(fake_rows())))).mkdir(parents=True)
    write_report(made)
    return made


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "report.html").read_text()


def test_every_run_is_in_the_page_and_the_csv(folder, text):
    rows = Store(folder).rows()
    data = page_data(text)
    assert column(data, "run_id") == [row["run_id"] for row in rows]
    assert column(data, "metrics", "float", "accuracy") == [
        row["metrics"]["float"]["accuracy"] for row in rows
    ]
    found = lines(folder / "rows.csv")
    assert [line["run_id"] for line in found] == [row["run_id"] for row in rows]
    assert [float(line["metrics.float.accuracy"]) for line in found] == [
        row["metrics"]["float"]["accuracy"] for row in rows
    ]


def test_the_page_is_small_and_fetches_nothing(text):
    assert len(text.encode()) < 500_000
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"(?m)(^|\s)//? .*$", "", text), re.I)
    assert not re.search(r"\b(src|import|fetch|url)\s*[=(]", text)
    assert "default-src 'none'" in text


def test_settings_have_their_means_and_fronts(folder):
    rows = Store(folder).rows()
    found = lines(folder / "tables" / "settings.csv")
    assert [line["runs"] for line in found] == ["2"] * 28
    accuracies = [float(line["accuracy"]) for line in found]
    assert accuracies == sorted(accuracies, reverse=True)
    on_front = {frozenset(line["run_ids"].split()) for line in found if line["front_of_all"]}
    fronts = front_runs(rows)
    assert on_front == {frozenset(p.run_ids) for p in points(rows) if p.run_id in fronts}
    for line in found:
        assert not line["front_of_all"] or line["front_of_precision"]


def test_hypervolumes_of_precisions_and_families(folder):
    found = lines(folder / "tables" / "hypervolumes.csv")
    expected = list(groups(points(fake_rows())))
    assert [(line["group"], line["name"]) for line in found] == expected
    whole = found[0]
    for line in found[1:]:
        assert all(0 < float(line[axis]) <= float(whole[axis]) + 1e-9 for axis in COSTS)


def test_links_lead_only_to_what_is_there(folder, text):
    data = page_data(text)
    ids = column(data, "run_id")
    assert len(data["links"]) == 1
    for index, link in data["links"].items():
        assert link == f"artifacts/{ids[int(index)]}/" and (folder / link).is_dir()


def test_figures_and_tables_for_everything(folder):
    figures = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    expected = {f"{kind}_{axis}.png" for kind in ("pareto", "attainment") for axis in COSTS}
    assert set(figures) == expected | {
        *("commits.png", "generalisation_gap.png", "layers_DSCNN.png")
    }
    assert all(data.startswith(b"\x89PNG") and len(data) < 120_000 for data in figures.values())
    tables = {path.name for path in (folder / "tables").iterdir()}
    assert tables == {
        *("settings.csv", "hypervolumes.csv", "attainment.csv", "layers.csv", "commits.csv")
    }
    assert [line["commit"] for line in lines(folder / "tables" / "commits.csv")] == [
        *("first", "second")
    ]
    layers = lines(folder / "tables" / "layers.csv")
    assert {(one["layer"], one["weight_bits"], one["rank"]) for one in layers} >= {
        ("stem", "8", ""),
        ("block/depthwise", "4", ""),
        ("block1/pointwise", "", "8"),
    }


def test_the_report_depends_on_rows_alone(tmp_path):
    folder = study_of(tmp_path, detailed(cheap(fake_rows(widths=(24, 32)))))
    text, again = write_report(folder).read_text(), tmp_path / "again" / folder.name
    kept = shutil.ignore_patterns("report.html", "*.csv", "*.png")
    shutil.copytree(folder, again, ignore=kept)
    assert write_report(again).read_text() == text


def test_what_was_drawn_before_is_copied(tmp_path, monkeypatch):
    folder = study_of(tmp_path, detailed(cheap(fake_rows(widths=(24, 32)))))
    pen = Pen(tmp_path / "kept")

    def figures():
        return {path.name: path.read_bytes() for path in sorted((folder / "figures").iterdir())}

    write_report(folder)
    anew = figures()
    write_report(folder, pen=pen)
    assert figures() == anew and len(list(pen.kept.iterdir())) == len(anew) > 2
    with monkeypatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: pytest.fail("drawn"))
        shutil.rmtree(folder / "figures")
        write_report(folder, pen=pen)
    assert figures() == anew
    Store(folder).append(fake_row("w4a4", 48, 7))  # other facts, other figures
    write_report(folder, pen=pen)
    assert figures()["pareto_file_bytes.png"] != anew["pareto_file_bytes.png"]


def test_the_reference_is_kept_when_better_and_worse_runs_come(tmp_path):
    folder = study_of(tmp_path, cheap(fake_rows(widths=(24, 32))))
    write_report(folder)
    before = lines(folder / "tables" / "hypervolumes.csv")[0]
    stored = (folder / "reference.json").read_text()
    (awful,) = cheap([fake_row("w4a4", 24, 0)])
    awful |= {"run_id": "awful", "config_delta": {"awful": True}}
    awful["metrics"] = {"float": {"accuracy": 0.01}}
    awful["costs"] = {"file_bytes": 10_000_000}
    Store(folder).append(awful)
    write_report(folder)
    after = lines(folder / "tables" / "hypervolumes.csv")[0]
    assert after["file_bytes"] == before["file_bytes"]
    assert (folder / "reference.json").read_text() == stored


def test_rows_are_untrusted(tmp_path):
    row = fake_row("w8a8", 24, 0)
    hostile = {key: HOSTILE for key in ("run_id", "name", "model", "precision", "commit", "device")}
    hostile |= {"parent": HOSTILE, "seed": HOSTILE, "width": [HOSTILE], "seconds": HOSTILE}
    hostile |= {"config_delta": {HOSTILE: HOSTILE}, "ranks": {HOSTILE: 3}}
    hostile |= {"bits": {HOSTILE: [HOSTILE, 8]}}
    folder = study_of(tmp_path, [row, {**row, **hostile}], name=HOSTILE.replace("/", ""))
    text = write_report(folder).read_text()
    assert text.count("<script") == 2 and "<img" not in text
    assert column(page_data(text), "run_id") == [row["run_id"], HOSTILE]


def test_rows_may_lack_almost_everything(tmp_path):
    odd = {"metrics": {"float": {"accuracy": 0.5}}}
    bits = {"a": 3, "b": ["x", None], "c": [8, 4]}
    folder = study_of(
        tmp_path,
        [
            {"run_id": "bare"},
            {"run_id": "half", **odd},
            {"run_id": "null", "costs": None, "parity": 3, "ranks": [], "precision": None, **odd},
            {"run_id": "nan", "costs": {"macs": float("nan"), "params": -1}, **odd},
            {"run_id": "bits", "bits": bits, "model": "M", **odd},
            {"run_id": "new", "precision": "w2a8", "costs": {"macs": 7}, **odd},
        ],
    )
    data = page_data(write_report(folder).read_text())
    assert column(data, "run_id") == ["bare", "half", "null", "nan", "bits", "new"]
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"pareto_macs.png", "pareto_linear_cost.png", "layers_M.png"}


def test_another_metric_can_be_the_quality(tmp_path):
    rows = cheap(fake_rows(widths=(24,)))
    for row in rows:
        row["metrics"] = {"float": {"snr_db": 12.25, "miss_rate": 0.1}}
    folder = study_of(tmp_path, rows)
    data = page_data(write_report(folder, metric="snr_db").read_text())
    assert data["metric"] == "snr_db"
    assert [metric["key"] for metric in data["metrics"]] == ["snr_db", "miss_rate"]
    with pytest.raises(BadInput, match="less"):
        write_report(folder, metric="miss_rate")


def test_noise_suppression(tmp_path):
    folder = study_of(tmp_path, cheap(fake_enhancement_rows()))
    data = page_data(write_report(folder).read_text())
    assert data["metric"] == "pesq" == data["metrics"][0]["key"]
    assert not any("." in metric["key"] for metric in data["metrics"])
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert {"pareto_file_bytes.png", "pareto_file_bytes_dnsmos_ovrl.png"} <= figures
    assert "PESQ (wide band) [95 % interval]" in (folder / "summary.md").read_text()
    best = lines(folder / "tables" / "settings.csv")[0]
    assert float(best["interval_low"]) < float(best["pesq"]) < float(best["interval_high"])
    assert float(best["stoi"]) < 1 and float(best["dnsmos_ovrl"]) > 3


def test_a_report_on_another_metric_keeps_the_reference(tmp_path):
    folder = study_of(tmp_path, cheap(fake_enhancement_rows()))
    write_report(folder)
    kept = (folder / "reference.json").read_text()
    areas = []
    for metric in ("stoi", None, "stoi"):
        data = page_data(write_report(folder, metric).read_text())
        of = {found["key"]: found["reference"] for found in data["metrics"]}
        assert of["stoi"] == 0.8 and of["pesq"] == pytest.approx(2.1)
        areas.append(float(lines(folder / "tables" / "hypervolumes.csv")[0]["file_bytes"]))
        assert (folder / "reference.json").read_text() == kept
    assert areas[0] == areas[2] != areas[1] and min(areas) > 0


def test_what_can_not_be_reported_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no rows"):
        write_report(tmp_path / "nowhere")
    folder = study_of(tmp_path, [{"run_id": "bare"}])
    with pytest.raises(BadInput, match="no run has a figure of which more is better"):
        write_report(folder)
    with pytest.raises(BadInput, match="no run in .* 'accuracy'"):
        write_report(folder, "accuracy")
    Store(folder).append(fake_row("w8a8", 24, 0))
    (folder / "reference.json").write_text("{")
    with pytest.raises(BadInput, match="reference"):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_marks_differ():
    known = [row["precision"] for row in fake_rows(seeds=1)]
    found = marks([*known, "w2a8", "w2a4"])
    assert list(found)[0] == "float" and list(found)[-2:] == ["w2a4", "w2a8"]
    assert len(set(found.values())) == len(found) == 9
    assert len({mark.colour for mark in found.values()}) == 9


# --- one study against another


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """`new` is a point better than `old` at every setting of both; each has some of its own."""
    root = tmp_path_factory.mktemp("compared")
    old = study_of(root, cheap(fake_rows(widths=(24, 32, 48))), "old")
    rows = cheap(fake_rows(widths=(32, 48, 64)))
    for row in rows:
        for reading in row["metrics"].values():
            reading["accuracy"] += 0.01
    new = study_of(root, rows, "new")
    artifact = new / "artifacts" / rows[0]["run_id"]
    artifact.mkdir(parents=True)
    return new, old, write_comparison(new, old)


def test_a_comparison_has_both_studies(compared):
    new, old, report = compared
    assert report == new / "against_old" / "report.html"
    data = page_data(report.read_text())
    assert data["studies"] == ["new", "old"]
    ids = [row["run_id"] for folder in (new, old) for row in Store(folder).rows()]
    assert column(data, "run_id") == ids and data["count"] == len(ids)
    (link,) = data["links"].values()
    assert (report.parent / link).is_dir()
    twins = [set() for _ in range(max(data["settings"]["twins"]) + 1)]
    study = data["groups"][-1]
    for run, place in enumerate(data["settings"]["at"]):
        twins[data["settings"]["twins"][place]].add(study["names"][study["at"][run]])
    assert sum(found == {"new", "old"} for found in twins) == 14
    assert not (new / "reference.json").exists(), "comparing changes neither study"


def test_hypervolumes_are_compared_on_a_common_reference(compared):
    new, old, report = compared
    found = lines(report.parent / "hypervolumes.csv")
    by_study = {line["study"]: line for line in found if line["group"] == "all"}
    areas = [float(by_study[name]["file_bytes"]) for name in ("new", "old", "difference")]
    assert areas[2] == pytest.approx(areas[0] - areas[1])
    reference = json.loads((report.parent / "reference.json").read_text())
    for folder in (new, old):
        write_report(folder)
        own = json.loads((folder / "reference.json").read_text())
        assert own["quality"] >= reference["quality"]
        assert own["file_bytes"] <= reference["file_bytes"]


def test_noise_suppression_is_compared_by_any_metric(tmp_path):
    both = [study_of(tmp_path, cheap(fake_enhancement_rows()), name) for name in ("new", "old")]
    for metric in (None, "stoi"):
        report = write_comparison(*both, metric=metric)
        assert page_data(report.read_text())["metric"] == (metric or "pesq")
        areas = lines(report.parent / "hypervolumes.csv")[:3]
        assert [float(line["file_bytes"]) > 0 for line in areas] == [True, True, False]
    with pytest.raises(BadInput, match="no run in .*keywords.* 'pesq'"):
        write_comparison(both[0], study_of(tmp_path, [fake_row("w8a8", 24, 0)], "keywords"))


def test_what_can_not_be_compared_is_refused(compared, tmp_path):
    new, old, _ = compared
    with pytest.raises(BadInput, match="itself"):
        write_comparison(new, new)
    with pytest.raises(BadInput, match="no rows"):
        write_comparison(new, tmp_path / "nowhere")
    assert not (new / "against_nowhere").exists()
