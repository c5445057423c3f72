"""The page in a browser: its figures are Python's, and everything works by key and on a phone."""

import csv
import io
import json
import random

import pytest
from chromium import chromium
from fake_rows import fake_row, fake_rows

from aqtaudio.study.attainment import attainments
from aqtaudio.study.measures import COSTS, metrics
from aqtaudio.study.page import page
from aqtaudio.study.page_data import Part
from aqtaudio.study.pareto import front_runs, groups, hypervolumes, points
from aqtaudio.study.reference import reference_point

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&$x"
DOWN, UP, RIGHT, HOME, END = "\ue015", "\ue013", "\ue014", "\ue011", "\ue010"
ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"


def study_rows():
    """Two families, three seeds, bits per layer, training clips, two commits."""
    rows = fake_rows(seeds=3)
    for i, row in enumerate(rows):
        row["model"] = "DSCNN" if row["width"] < 40 else "BCResNet"
        row["bits"] = {"stem": [8, 8], "block/depthwise": [4, 8 if i % 2 else 4]}
        row["metrics"]["train"] = {"accuracy": 0.98}
        row["commit"] = "first000" if i % 3 else "second00"
        row["config_delta"]["recipe"] = (
            f"Recipe(mode='native', bits={row['width']}, target='micro')"
        )
    return rows


def reference_of(rows):
    return reference_point(rows, metrics(rows), "accuracy")


def page_of(folder, rows, links=()):
    path = folder / "report.html"
    part = Part("study", rows, {key: f"artifacts/{key}/" for key in links})
    path.write_text(page([part], reference_of(rows), "accuracy"))
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def rows():
    return study_rows()


@pytest.fixture(scope="module")
def report(tmp_path_factory, rows):
    return page_of(tmp_path_factory.mktemp("page"), rows, links=[rows[0]["run_id"]])


@pytest.fixture
def opened(browser, report):
    browser.open(report)
    yield browser
    assert browser.errors() == []


def test_nothing_is_fetched(opened):
    assert opened.run("return performance.getEntriesByType('resource').length") == 0


def test_fronts_and_hypervolumes_are_pythons(opened, rows):
    settings, reference = points(rows), reference_of(rows)
    for axis in COSTS[:-1]:
        opened.choose(x=axis, y="accuracy")
        ringed = opened.run(
            "return frontChart.marks.filter(({ ring }) => ring)"
            ".map(({ item }) => field('run_id')(item.run))"
        )
        assert set(ringed) == set(front_runs(rows, [axis]))
    opened.run("drawAll()")
    areas = opened.run("return areaLines")
    titles = opened.run("return measured().map(({ key }) => key)")
    found = {
        (kind, name): dict(zip(titles, line, strict=True)) for kind, name, _, _, *line in areas[1:]
    }
    for key, own in groups(settings).items():
        assert found[key] == pytest.approx(hypervolumes(own, reference), rel=1e-5), key


@pytest.mark.parametrize("group", ["precision", "model"])
def test_attainment_is_pythons(opened, rows, group):
    opened.choose(show="attainment", colour=group, x="file_bytes")
    for name, expected in attainments(rows, "file_bytes", group=group).items():
        found = opened.run(
            "return attainment(byGroup(chosenPoints.filter(drawable), arguments[0])"
            ".find(({ name }) => name === arguments[1]).points, 1)",
            *(group, name),
        )
        assert (found["seeds"], found["settings"]) == (len(expected.seeds), expected.settings)
        for kind in ("best", "median", "worst"):
            steps = [value for one in found[kind] for value in (one["x"], one["y"])]
            assert steps == pytest.approx([v for step in getattr(expected, kind) for v in step])


def test_every_choice_of_axes_draws(opened):
    broken = opened.run("""
      const broken = [], first = { ...state };
      const values = (id) => [...byId(id).options].map(({ value }) => value);
      const draw = (choice) => {
        Object.assign(state, first, choice);
        update();
        drawAll();
        const odd = frontChart.marks.some(({ px, py }) => !Number.isFinite(px + py));
        const text = document.querySelector("main").textContent;
        if (odd || /NaN|undefined|Infinity/.test(text)) broken.push(choice);
      };
      for (const x of values("x")) draw({ x });
      for (const y of values("y")) draw({ y, x: values("x").at(-1) });
      for (const show of values("show"))
        for (const colour of values("colour")) draw({ show, colour });
      return [broken, values("x").length, values("y").length];
    """)
    assert broken[0] == [] and broken[1] == len(COSTS) and broken[2] >= 4


def test_it_works_by_key(opened, rows):
    opened.run("frontChart.canvas.focus()")
    opened.keys(HOME)
    seen = set()
    for _ in range(28):
        seen.add(opened.run("return frontChart.marks[frontChart.at].item.name"))
        opened.keys(RIGHT)
    assert len(seen) == 28
    opened.run("frontChart.reveal(({ all }) => all.some((run) => data.links[run]))")
    opened.keys(ENTER)
    card = opened.texts("#card")[0]
    assert "Show in the table" in card and "file, B" in card and "bits=" in card
    opened.keys(TAB, TAB)
    link = opened.run("return document.activeElement.getAttribute('href')")
    assert link == f"artifacts/{rows[0]['run_id']}/"
    opened.run("document.querySelector('#card button').focus()")
    opened.keys(ENTER)
    assert opened.run("return document.querySelectorAll('#runs tr.found').length") == 1
    opened.keys(DOWN, DOWN, UP)
    name = opened.texts("#runs tr.found td")[0]
    opened.keys(ENTER)
    assert opened.texts("#card h3") == [name]


def test_filters_reach_everything(opened, rows):
    opened.type("W4A8 w32")
    assert opened.texts("#shown") == [f"3 of {len(rows)} runs"]
    assert opened.run("return [chosen.length, frontChart.marks.length]") == [3, 1]
    opened.run("drawAll()")
    assert opened.run("return areaLines.length") == 1 + 3
    opened.run("byId('reset').click()")
    assert opened.run("return [chosen.length, byId('text').value]") == [len(rows), ""]
    opened.run("document.querySelector('#legend button').click()")
    without = [row for row in rows if row["precision"] != "float"]
    assert opened.run("return chosen.length") == len(without)
    boxes = (
        "[...document.querySelectorAll('.menu')].find((one) => one.textContent.includes('seed'))"
    )
    opened.run(f"{boxes}.querySelectorAll('input')[1].click()")
    assert opened.run("return chosen.length") == len([row for row in without if row["seed"] != 1])
    assert "seed 2/3" in opened.texts(".menu summary")
    opened.type("no such run")
    assert opened.run("return chosen.length") == 0
    opened.run("drawAll()")


def test_a_filter_on_seeds_changes_means(opened, rows):
    opened.run("state.off.seed = new Set([1, 2]); update()")
    found = opened.run("return Object.fromEntries(chosenPoints.map(({ name, y }) => [name, y]))")
    only = points([row for row in rows if row["seed"] == 0])
    assert sorted(found.values()) == pytest.approx(sorted(point.quality for point in only))


def test_the_table_sorts_and_holds_only_what_is_in_sight(opened, rows):
    opened.run("byId('by-run').click(); byId('runs').scrollIntoView(); drawAll()")
    sort = "[...document.querySelectorAll('#runs th button')].find((one) => one.textContent === %s)"
    for title in ("'file, B'", "'integer − float'"):
        opened.run(f"{sort % title}.click()")
        order = (
            "const column = runGrid.columns.find(({ key }) => key === runGrid.sort);"
            "return runGrid.order.map((i) => column.order(runGrid.items[i]) ?? null)"
        )
        up = opened.run(order)
        opened.run(f"{sort % title}.click()")
        down = opened.run(order)
        known = [value for value in up if value is not None]
        assert known == sorted(known) and len(up) == len(rows)
        assert [value for value in down if value is not None] == known[::-1]
        missing = len(up) - len(known)
        assert up[len(known) :] == down[len(known) :] == [None] * missing
    assert opened.run("return document.querySelectorAll('#runs tbody tr').length") < 45
    opened.run("runGrid.holder.focus()")
    opened.keys(END)
    opened.frame()
    last = opened.run(
        "return document.querySelector('#runs tr.found').getAttribute('aria-rowindex')"
    )
    assert int(last) == len(rows) + 1


def test_the_address_says_what_is_shown(opened, report):
    opened.choose(x="bitops", colour="model", show="runs")
    opened.type("w4a8 w32")
    address = opened.run("return location.href")
    opened.open(report)
    assert opened.run("return [state.x, state.text, chosen.length === data.count]") == [
        *("file_bytes", "", True)
    ]
    opened.driver.get(address.replace("#", "?again#"))
    assert opened.run("return [state.x, state.colour, state.show, chosen.length]") == [
        *("bitops", "model", "runs", 3)
    ]
    assert opened.run("return byId('text').value") == "w4a8 w32"


def test_downloads_are_the_selection(opened, rows):
    opened.type("w4a4 seed=2")
    wanted = [row for row in rows if row["precision"] == "w4a4" and row["seed"] == 2]
    opened.run("byId('save-json').click()")
    assert json.loads(opened.downloaded("study_runs.json")) == wanted
    opened.run("byId('save-csv').click()")
    lines = list(csv.DictReader(io.StringIO(opened.downloaded("study_runs.csv").decode())))
    assert [line["run_id"] for line in lines] == [row["run_id"] for row in wanted]
    assert json.loads(lines[0]["bits.stem"]) == [8, 8]
    opened.run("drawAll()")
    for button in range(
        opened.run("return document.querySelectorAll('.head .tools button').length")
    ):
        name, section = opened.run(
            "const button = document.querySelectorAll('.head .tools button')[arguments[0]];"
            "button.focus(); return [button.textContent, button.closest('section').id]",
            button,
        )
        opened.keys(ENTER)
        kind, _, which = name.partition(" ")
        content = opened.downloaded(f"study_{which or section}.{kind.lower()}")
        assert content.startswith(b"\x89PNG" if kind == "PNG" else content[:1]) and content


def test_bits_and_ranks_are_a_heat_map(opened):
    opened.run("byId('layers').scrollIntoView(); drawAll()")
    opened.choose(**{"layers-family": "0"})
    opened.run("byId('layers-front').click()")
    head = opened.texts("#layers thead th")
    assert head[2:4] == ["stem", "block/depthwise"] and "block1/pointwise" in head
    cells = opened.texts("#layers tbody td.cell")
    assert {"8/8", "4/8", "4/4"} <= set(cells)
    assert any(text.startswith("r") for text in cells)
    assert opened.texts("#layers tbody th") and not opened.run("return byId('layers').hidden")


def test_it_fits_a_phone(browser, report):
    browser.open(report, width=360, height=740)
    browser.run("drawAll()")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    small = browser.run(
        "return [...document.querySelectorAll('button, select, summary, input[type=search]')]"
        ".filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)"
        ".map((one) => one.textContent)"
    )
    assert small == []
    browser.run("frontChart.canvas.scrollIntoView({ block: 'center' })")
    x, y = browser.run(
        "const { left, top } = frontChart.canvas.getBoundingClientRect();"
        "return [left + frontChart.marks[3].px, top + frontChart.marks[3].py]"
    )
    for kind, touches in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        browser.driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches}
        )
    browser.frame()
    assert browser.texts("#card h3") == [
        browser.run("return frontChart.marks[frontChart.at].item.name")
    ]
    assert browser.errors() == []


def test_hostile_rows_do_nothing(browser, tmp_path):
    row = fake_row("w8a8", 24, 0)
    keys = ("run_id", "name", "model", "precision", "commit", "seed", "width", "parent", "device")
    hostile = {**row, **{key: HOSTILE for key in keys}}
    hostile |= {
        "config_delta": {HOSTILE: HOSTILE},
        "bits": {HOSTILE: [8, 8]},
        "__proto__": {"a": 1},
    }
    hostile["metrics"] = {**row["metrics"], "float": {"accuracy": 0.9, HOSTILE: 0.5}}
    hostile["ranks"] = {"__proto__": 3, "constructor": 4}
    browser.open(page_of(tmp_path, [row, hostile]))
    browser.run("drawAll(); frontChart.point(0); setByRun(true)")
    assert browser.run("return document.title") == "study"
    assert browser.run("return document.querySelectorAll('img, section script').length") == 0
    found = json.loads(browser.run("return runsJson(chosen)"))
    assert found[1]["name"] == HOSTILE and found[1]["ranks"] == {"__proto__": 3, "constructor": 4}
    assert browser.errors() == []


def test_rows_may_lack_almost_everything(browser, tmp_path):
    odd = {"metrics": {"float": {"accuracy": 0.5}}}
    bare = [{"run_id": "bare"}, {"run_id": "half", **odd}, {"run_id": "b", "bits": {"a": 3}, **odd}]
    browser.open(page_of(tmp_path, [*bare, {"run_id": "new", "costs": {"macs": 7}, **odd}]))
    browser.run("drawAll(); setByRun(true)")
    for key in browser.run("return yAxes.map(({ key }) => key)"):
        browser.choose(y=key)
    assert browser.run("return chosen.length") == 4
    assert browser.errors() == []


def test_less_can_be_better(browser, tmp_path):
    rows = fake_rows(seeds=1)
    for row in rows:
        for reading in row["metrics"].values():
            reading["miss_rate"] = 1 - reading["accuracy"]
    browser.open(page_of(tmp_path, rows))
    ringed = (
        "return frontChart.marks.filter(({ ring }) => ring).map(({ item }) => item.name).sort()"
    )
    best = browser.run(ringed)
    browser.choose(y="miss_rate")
    assert browser.run(ringed) == best
    browser.run("drawAll()")
    assert all(area >= 0 for area in browser.run("return areaLines[1].slice(4)"))


def test_two_studies(browser, tmp_path):
    old, new = fake_rows(widths=(24, 32)), fake_rows(widths=(32, 48))
    for row in new:
        for reading in row["metrics"].values():
            reading["accuracy"] += 0.01
    parts = [Part("new", new), Part("old", old)]
    path = tmp_path / "report.html"
    path.write_text(page(parts, reference_of([*old, *new]), "accuracy"))
    browser.open(path)
    browser.run("drawAll()")
    assert "7 settings are in both; new is better in 7" in browser.texts("#comparison-sum")[0]
    assert "+1.00 points" in browser.texts("#comparison-sum")[0]
    labels = browser.texts("#hypervolumes tbody tr:not(.kind) th")
    assert labels[:3] == ["all · new", "all · old", "difference"]
    whole = browser.run("return areaLines.slice(1, 4).map((line) => line.slice(4))")
    for one, other, change in zip(*whole, strict=True):
        assert change == pytest.approx(one - other)
    assert browser.errors() == []


def many_rows(count):
    """As many runs as a large search leaves, each with 14 layers and a recipe of its own."""
    generator = random.Random(0)
    rows = []
    for i in range(count):
        precision = ("float", "w8a8", "w4a8", "w4a4", "w8a8_low_rank")[i % 5]
        row = fake_row(precision, 8 + i // 5 % 160, i // 800 % 5)
        row |= {"run_id": f"{i:012x}", "name": f"run {i} {precision}", "model": f"M{i % 6}"}
        row["config_delta"] = {
            "recipe": f"Recipe(mode='native', rules=(Rule(pattern='.*', weight_bits={i % 7}, "
            "activation_bits=8, calibration='mean_max', svd_penalty=None),), target='micro')",
            "optimizer.learning_rate": 10.0 ** -(i % 4),
            "n": i // 3,
            "seed": i % 3,
        }
        for reading in row["metrics"].values():
            reading["accuracy"] += generator.gauss(0, 0.01)
            reading["per_class"] = {f"word{n}": generator.random() for n in range(8)}
        row["bits"] = {f"block{n}": generator.choice([[8, 8], [4, 8], [4, 4]]) for n in range(14)}
        row["commit"] = f"{i // 500:08x}"
        rows.append(row)
    return rows


def test_five_thousand_rows_open_and_filter_in_two_seconds(browser, tmp_path):
    """The best of up to three: other work on the machine is not the page's."""
    path = page_of(tmp_path, many_rows(5_000))
    assert path.stat().st_size < 8_000_000
    openings = [browser.open(path)]
    while openings[-1] >= 2.0 and len(openings) < 3:
        openings.append(browser.open(path))
    opening = min(openings)
    filtering = browser.driver.execute_async_script("""
      const done = arguments[0], times = [];
      const shown = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
      const timed = async (act) => {
        const from = performance.now();
        act();
        await shown();
        times.push(performance.now() - from);
      };
      (async () => {
        for (const text of ["w4a8", "m3 w4a8", "4a", ""])
          await timed(() => { state.text = text; update(); });
        for (let i = 0; i < 2; i++) await timed(() => toggle("precision", 0));
        await timed(() => { setByRun(true); runGrid.holder.scrollTop = 60000; });
        await timed(() => document.querySelector("#runs th:nth-child(5) button").click());
        done(Math.max(...times) / 1000);
      })();
    """)
    size = path.stat().st_size / 1e6
    print(f"5,000 rows: {size:.1f} MB, open {opening:.2f} s, filter {filtering:.2f} s")
    assert opening < 2.0 and filtering < 2.0
    assert browser.run("return document.querySelectorAll('*').length") < 6_000
    assert browser.errors() == []
