// ---- the generalisation gap, and the study commit by commit ----
let gapChart, bestChart, areaChart, moments = [];

function gapAxis() {
  return yOf("gap " + state.y) ?? yOf("gap " + data.metric) ?? yAxes.find(({ key }) => key.startsWith("gap "));
}
function drawGap() {
  const Y = gapAxis(), X = xAxis();
  const points = pointsOf(chosen, Y, X).filter(drawable);
  gapChart.show({ x: X, y: Y, level: 0, empty: "No run shown was measured on its training clips.",
    marks: points.map((one) => {
      const [colour, shape] = mark(state.colour, groupPlace(state.colour, one));
      return { ...one, colour, shape, item: one };
    }) });
}
const gapLines = () => [["setting", "run_id", gapChart.spec.x.key, "generalisation_gap", "spread"],
  ...gapChart.marks.map(({ item }) => [item.name, field("run_id")(item.run), item.x, item.y, item.spread])];

/** Per commit, in the order of the rows: what its runs reach alone, and with all runs before. */
function momentsOf(Y, X) {
  const runs = data.commits.names.map(() => []), found = [], soFar = [];
  for (const run of chosen) if (Y.of(run) !== undefined) runs[data.commits.at[run]].push(run);
  const worth = (points) => ({
    best: Y.sense * Math.max(...points.map(({ y }) => Y.sense * y)),
    area: X ? areasOf(points, Y, [X])[0] : undefined,
  });
  data.commits.names.forEach((commit, i) => {
    if (!runs[i].length || commit === "") return;
    for (const run of runs[i]) soFar.push(run);
    const [alone, together] = [runs[i], soFar].map((some) => worth(pointsOf(some, Y, X ?? xAxes[0])));
    found.push({ commit, runs: runs[i].length, alone, together });
  });
  return found;
}
function drawCommits() {
  const Y = yAxis().reference === undefined ? mainY : yAxis();
  const X = xAxis().reference ? xAxis() : measured()[0];
  moments = momentsOf(Y, X);
  const time = { label: "commit", log: false, span: [-.5, Math.max(moments.length, 1) - .5],
    ticks: moments.map((_, i) => i), tick: (i) => moments[i]?.commit.slice(0, 7) ?? "" };
  const colour = css("--accent");
  const spec = (y, of) => {
    const at = (which) => moments.map((moment, x) => ({ x, y: of(moment[which]), item: moment }))
      .filter(drawable);
    return { x: time, y, stairs: [{ steps: at("together"), colour, width: 1.6, open: true }],
      marks: at("alone").map((one) => ({ ...one, colour, shape: "o" })) };
  };
  bestChart.show(spec({ ...Y, label: "best " + Y.label }, ({ best }) => best));
  if (X) areaChart.show(spec({ label: `hypervolume on ${X.title}`, tick: plain }, ({ area }) => area));
  const lines = commitLines();
  byId("commits").querySelector("table").replaceChildren(
    element("thead", {}, element("tr", {}, ...lines[0].map((title, i) => element("th", { scope: "col", className: i ? "n" : "" }, title)))),
    element("tbody", {}, ...moments.map(({ commit, runs, alone, together }) => element("tr", {},
      element("th", { scope: "row", title: commit }, commit.slice(0, 10)),
      ...[whole(runs), Y.text(alone.best), Y.text(together.best), areaText(alone.area), areaText(together.area)]
        .map((text) => element("td", { className: "n" }, text))))));
}
const areaText = (area) => area === undefined ? "–" : area.toFixed(3);
const commitLines = () => [["commit", "runs", "best of it", "best so far", "hypervolume of it", "hypervolume so far"],
  ...moments.map(({ commit, runs, alone, together }) =>
    [commit, runs, alone.best, together.best, alone.area, together.area])];

function buildHistory(onPick) {
  if (Object.keys(gaps).length) {
    byId("gap").hidden = false;
    gapChart = new Chart(byId("gap-chart"), "Generalisation gap", { onShow: onPick, onPick: (item) => item && onPick(item), height: 320 });
    charts.push(gapChart);
    tools("gap", gapLines, { gap: () => gapChart.canvas });
    whenInSight("gap", drawGap);
  }
  if (data.commits.names.filter(Boolean).length < 2 || data.studies.length > 1) return;
  byId("commits").hidden = false;
  bestChart = new Chart(byId("best-chart"), "Best quality by commit", { height: 260 });
  areaChart = new Chart(byId("area-chart"), "Hypervolume by commit", { height: 260 });
  charts.push(bestChart, areaChart);
  tools("commits", commitLines, { best: () => bestChart.canvas, hypervolume: () => areaChart.canvas });
  whenInSight("commits", drawCommits);
}
