"""Laws of the report: every run is in it, nothing is fetched, nothing from a row is run."""

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from fake_rows import fake_row, fake_rows

from aqtaudio.errors import BadInput
from aqtaudio.study.marks import marks
from aqtaudio.study.pareto import COSTS, front_runs
from aqtaudio.study.report import write_report
from aqtaudio.study.store import Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&$x"


class Page(HTMLParser):
    """Tables as lists of rows of texts, links, ids, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.links, self.ids, self.tags, self.front = {}, [], set(), [], []
        self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.ids.add(attributes.get("id"))
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "table":
            self._table = self.tables.setdefault(attributes["id"], [])
        if tag == "tr":
            self._table.append([])
            if attributes.get("class") == "front":
                self.front.append(attributes["id"])
        if tag in ("td", "th"):
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._table[-1].append(self._cell)
            self._cell = None

    def column(self, table, title):
        head, *body = self.tables[table]
        return [row[head.index(title)] for row in body]


def study_of(folder, rows):
    store = Store(folder / "a <study> & $more")
    for row in rows:
        store.append(row)
    return store.folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = study_of(tmp_path_factory.mktemp("report"), fake_rows())
    (made / "artifacts" / next(iter(front_runs(fake_rows())))).mkdir(parents=True)
    write_report(made)
    return made


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "report.html").read_text()


def test_every_run_is_in_the_page_and_the_csv(folder, text):
    ids = [row["run_id"] for row in fake_rows()]
    page = Page(text)
    assert page.column("runs", "run id") == ids
    assert {f"runs-{key}" for key in ids} <= page.ids
    with (folder / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == ids
    assert [float(row["metrics.float.accuracy"]) for row in rows] == [
        row["metrics"]["float"]["accuracy"] for row in fake_rows()
    ]


def test_the_page_is_small_and_fetches_nothing(text):
    assert len(text.encode()) < 500_000
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"(?m)(^|\s)// .*$", "", text), re.I)
    assert not re.search(r"\b(src|import|fetch|url)\s*[=(]", text)
    assert "default-src 'none'" in text


def test_seeds_are_averaged_and_fronts_marked(text):
    page = Page(text)
    assert page.column("settings", "runs") == ["2"] * 28
    assert all(text.startswith("± ") for text in page.column("settings", "spread"))
    on_front = set(front_runs(fake_rows()))
    assert {key.removeprefix("runs-") for key in page.front if key.startswith("runs-")} == on_front
    fronts = page.column("runs", "front of")
    ids = page.column("runs", "run id")
    assert {key for key, axes in zip(ids, fronts, strict=True) if axes} == on_front


def test_links_lead_only_to_what_is_there(folder, text):
    page = Page(text)
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (folder / link).is_dir()
    assert any(link.startswith("artifacts/") for link in page.links)


def test_figures_for_every_cost(folder):
    figures = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert set(figures) == {f"pareto_{axis}.png" for axis in COSTS}
    assert all(data.startswith(b"\x89PNG") and len(data) < 100_000 for data in figures.values())


def test_the_report_depends_on_rows_alone(folder, text, tmp_path):
    again = tmp_path / folder.name
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("report.html", "*.csv", "*.png"))
    assert write_report(again).read_text() == text


def test_the_reference_is_kept_when_better_and_worse_runs_come(tmp_path):
    folder = study_of(tmp_path, fake_rows(widths=(24, 32)))
    before = Page(write_report(folder).read_text()).column("hypervolumes", "file, B")
    stored = (folder / "reference.json").read_text()
    awful = {**fake_row("w4a4", 24, 0), "run_id": "awful", "config_delta": {"awful": True}}
    awful["metrics"] = {"float": {"accuracy": 0.01}}
    awful["costs"] = {"file_bytes": 10_000_000}
    Store(folder).append(awful)
    assert Page(write_report(folder).read_text()).column("hypervolumes", "file, B") == before
    assert (folder / "reference.json").read_text() == stored


def test_rows_are_untrusted(tmp_path):
    row = fake_row("w8a8", 24, 0)
    hostile = {key: HOSTILE for key in ("run_id", "name", "model", "precision", "commit", "device")}
    hostile |= {"parent": HOSTILE, "seed": HOSTILE, "width": [HOSTILE], "seconds": HOSTILE}
    hostile |= {"config_delta": {HOSTILE: HOSTILE}, "ranks": {HOSTILE: HOSTILE}}
    folder = study_of(tmp_path, [row, {**row, **hostile}])
    text = write_report(folder).read_text()
    page = Page(text)
    assert page.tags.count("script") == 2 and "img" not in page.tags
    assert page.column("runs", "run id") == [row["run_id"], HOSTILE]


def test_rows_may_lack_almost_everything(tmp_path):
    odd = {"metrics": {"float": {"accuracy": 0.5}}}
    folder = study_of(
        tmp_path,
        [
            {"run_id": "bare"},
            {"run_id": "half", **odd},
            {"run_id": "null", "costs": None, "parity": 3, "ranks": [], "precision": None, **odd},
            {"run_id": "nan", "costs": {"macs": float("nan"), "params": -1}, **odd},
            {"run_id": "new", "precision": "w2a8", "costs": {"macs": 7}, **odd},
        ],
    )
    page = Page(write_report(folder).read_text())
    assert page.column("runs", "run id") == ["bare", "half", "null", "nan", "new"]
    assert [path.name for path in (folder / "figures").iterdir()] == ["pareto_macs.png"]


def test_another_metric_can_be_the_quality(tmp_path):
    rows = fake_rows(widths=(24,))
    for row in rows:
        row["metrics"] = {"float": {"snr_db": 12.25}}
    page = Page(write_report(study_of(tmp_path, rows), metric="snr_db").read_text())
    assert set(page.column("runs", "snr_db")) == {"12.25"}


def test_what_can_not_be_reported_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no rows"):
        write_report(tmp_path / "nowhere")
    folder = study_of(tmp_path, [{"run_id": "bare"}])
    with pytest.raises(BadInput, match="accuracy"):
        write_report(folder)
    Store(folder).append(fake_row("w8a8", 24, 0))
    for content in ("{", "[]", '{"quality": "x"}', '{"quality": 0, "macs": 0}'):
        (folder / "reference.json").write_text(content)
        with pytest.raises(BadInput, match="reference"):
            write_report(folder)
    assert not (folder / "report.html").exists()


def test_marks_differ():
    known = [row["precision"] for row in fake_rows(seeds=1)]
    found = marks([*known, "w2a8", "w2a4"])
    assert list(found)[0] == "float" and list(found)[-2:] == ["w2a4", "w2a8"]
    assert len(set(found.values())) == len(found) == 9


SCRIPT = """
const seen = { errors: [] };
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true }));
seen.points = drawn.length;
drawn[0].g.focus();
const names = drawn.map(() => { press("ArrowRight"); return tip.firstChild.textContent; });
seen.walked = new Set(names).size;
seen.tip = getComputedStyle(tip).visibility;
press("Enter");
seen.found = document.querySelectorAll("tr.found").length;
seen.axes = [...chooseX.options].flatMap((x) => [...chooseY.options].map((y) => {
  chooseX.value = x.value; chooseY.value = y.value; draw();
  return [x.value, y.value, drawn.length, plot.innerHTML.includes("NaN")];
}));
chooseX.value = "file_bytes"; chooseY.value = "quality"; draw();
seen.ringed = drawn.filter(({ g }) => g.querySelector(".ring")).map(({ item }) => item.p.id);
document.querySelector("#legend button").click();
seen.toggled = drawn.length;
const cells = (title) => {
  const at = [...document.querySelectorAll("#runs th")].find((th) => th.textContent === title);
  at.firstChild.click();
  const down = [...document.querySelectorAll("#runs tbody tr")].map(
    (row) => row.cells[at.cellIndex].textContent);
  return down;
};
seen.sorted = cells("file, B");
seen.reversed = cells("file, B");
seen.gaps = cells("int − float");
const filter = byId("filter");
filter.value = "W4A8 w32"; filter.dispatchEvent(new Event("input"));
seen.filtered = [...document.querySelectorAll("#runs tbody tr")].filter((r) => !r.hidden).length;
seen.overflow = document.documentElement.scrollWidth > innerWidth;
const out = document.createElement("pre");
out.id = "seen"; out.textContent = JSON.stringify(seen); document.body.append(out);
"""


def chromium(page, tmp_path, width, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars"]
    command += ["--enable-logging=stderr", f"--window-size={width},900", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, [
        line for line in done.stderr.splitlines() if "CONSOLE" in line
    ]
    return done.stdout


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
def test_the_page_works_in_a_browser(text, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{SCRIPT}</script></body>"))
    seen = json.loads(
        re.search(r'<pre id="seen">(.*?)</pre>', chromium(page, tmp_path, 1280, "--dump-dom"))[1]
    )
    assert seen["points"] == seen["walked"] == 28
    assert (seen["tip"], seen["found"]) == ("visible", 1)
    assert len(seen["axes"]) == (len(COSTS) + 1) * 3
    for x, y, drawn, broken in seen["axes"]:
        assert drawn == (24 if y == "gap" else 28) and not broken, (x, y)
    fronts = front_runs(fake_rows(), axes=["file_bytes"])
    assert seen["ringed"] == list(fronts)
    assert seen["toggled"] == 24
    sizes = [int(size.replace(",", "")) for size in seen["sorted"]]
    assert sizes == sorted(sizes)
    assert seen["reversed"][0] == seen["sorted"][-1]
    assert seen["gaps"][-8:] == ["–"] * 8
    assert seen["filtered"] == 2 and not seen["overflow"]


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
def test_hostile_rows_do_nothing_in_a_browser(tmp_path):
    row = {**fake_row("w8a8", 24, 0), "run_id": HOSTILE, "name": HOSTILE, "precision": HOSTILE}
    page = tmp_path / "page.html"
    page.write_text(write_report(study_of(tmp_path, [row])).read_text())
    assert "<title>a &lt;study&gt; &amp; $more</title>" in chromium(
        page, tmp_path, 390, "--dump-dom"
    )
