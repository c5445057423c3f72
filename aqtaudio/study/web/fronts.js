// ---- the chart of fronts, its legend, and hypervolumes ----
let frontChart, frontItems = new Set();

const NOTES = {
  settings: "A mark is a setting: the mean over its seeds, with one standard deviation. Lines are the "
    + "fronts of each group, the broad grey line the front over all; ringed settings are on it, those "
    + "that another of their own group dominates are faint.",
  runs: "A mark is a run. Lines are the fronts of each group, the broad grey line the front over all, "
    + "which favours the lucky of many seeds.",
  attainment: "What seeds reach: the lowest line of a band is reached by every seed, the highest by one, "
    + "the broad line by half of three or more. Only settings that the same seeds trained are compared.",
};
NOTES.fronts = NOTES.settings;

/** Marks and stairs of points by group. */
function frontSpec(points, X, Y) {
  const known = points.filter(drawable), hasFront = X.log && Y.sense !== 0;
  const all = hasFront ? front(known, Y.sense) : [], ringed = new Set(all), kept = new Set();
  const stairs = all.length ? [{ steps: all, colour: css("--front"), width: 8 }] : [];
  for (const { place, points: own } of byGroup(known, state.colour)) {
    const steps = hasFront ? front(own, Y.sense) : [];
    for (const step of steps) kept.add(step);
    stairs.push({ steps, colour: mark(state.colour, place)[0], width: 1.6 });
  }
  const few = state.show === "fronts" && hasFront ? known.filter((one) => kept.has(one)) : known;
  const marks = few.map((one) => {
    const [colour, shape] = mark(state.colour, groupPlace(state.colour, one));
    return { x: one.x, y: one.y, spread: one.spread, colour, shape, item: one,
      dim: hasFront && !kept.has(one), ring: ringed.has(one), small: state.show === "runs" };
  });
  frontItems = new Set(all.map(({ run }) => run));
  return { x: X, y: Y, stairs, marks, floor: floorOf(marks, hasFront && Y.sense > 0), diagonal: X.key === "floating" && Y.key === data.metric,
    level: Y.sense === 0 ? 0 : undefined };
}

/** A dominated setting far below the fronts would squeeze them: it is cut unless asked for. */
function floorOf(marks, canCut) {
  const ys = marks.filter(({ dim }) => !dim).map(({ y }) => y);
  const low = Math.min(...ys), room = Math.max(...ys) - low;
  const floor = low - Math.max(1.5 * room, .02 * Math.abs(low));
  const cut = canCut && ys.length ? marks.filter(({ y }) => y < floor).length : 0;
  byId("whole").hidden = !cut;
  byId("cut").textContent = cut ? `whole range (${whole(cut)} below)` : "";
  return cut && !byId("whole").firstElementChild.checked ? floor : undefined;
}

function attainmentSpec(points, X, Y) {
  const bands = [], stairs = [], marks = [], legend = [];
  for (const { name, place, points: own } of byGroup(points.filter(drawable), state.colour)) {
    const complete = own.map((one) => ({ ...one, runs: one.runs.filter(({ x }) => x !== undefined) }));
    const found = Y.sense === 0 ? null : attainment(complete, Y.sense);
    if (!found) continue;
    const [colour, shape] = mark(state.colour, place);
    bands.push({ low: found.worst, high: found.best, colour });
    for (const steps of [found.best, found.worst]) stairs.push({ steps, colour, width: 1, open: true,
      dash: found.median || steps === found.best ? [2, 3] : [] });
    if (found.median) stairs.push({ steps: found.median, colour, width: 2.2, open: true });
    for (const one of own) marks.push({ x: one.x, y: one.y, colour, shape, item: one, small: true });
    legend.push(`${named(name)}: ${found.seeds} seeds, ${found.settings} settings`);
  }
  return { x: X, y: Y, bands, stairs, marks, legend,
    empty: "No group shown has two seeds of the same settings." };
}

function drawFronts() {
  const X = xAxis(), Y = yAxis();
  const isAttained = state.show === "attainment";
  const points = state.show === "runs" ? singles(chosen, Y, X) : chosenPoints;
  const spec = isAttained ? attainmentSpec(points, X, Y) : frontSpec(points, X, Y);
  if (isAttained) {
    frontSpec(chosenPoints, X, Y); // for the table, which marks the front's lines
    byId("whole").hidden = true;
  }
  frontChart.show(spec);
  byId("fronts-note").textContent = NOTES[state.show]
    + (spec.legend?.length ? ` ${spec.legend.join("; ")}.` : "")
    + (Y.sense < 0 ? " Less is better: the front is at the bottom." : "");
  drawLegend();
}

function drawLegend() {
  const { key, names } = groupOf[state.colour], counts = names.map(() => 0);
  for (let run = 0; run < data.count; run++) counts[groupOf[key].at[run]]++;
  byId("legend").replaceChildren(...names.map((name, place) => {
    const canvas = element("canvas", { width: 32, height: 32, "aria-hidden": "true" });
    const pen = canvas.getContext("2d"), [colour, shape] = mark(key, place);
    pen.scale(2, 2);
    pen.fillStyle = colour;
    pen.fill(outline(shape, 8, 8, 6));
    const button = element("button", { type: "button", "aria-pressed": String(!state.off[key].has(place)) },
      canvas, named(name), element("small", {}, ` ${counts[place]}`));
    button.addEventListener("click", () => {
      toggle(key, place);
      byId("legend").children[place].focus();
    });
    return button;
  }));
}

const frontLines = () => {
  const X = xAxis(), Y = yAxis(), { names, at } = groupOf[state.colour];
  if (state.show === "attainment") return [["group", "front", X.key, Y.key],
    ...byGroup(chosenPoints.filter(drawable), state.colour).flatMap(({ name, points }) => {
      const found = attainment(points, Y.sense || 1) ?? {};
      return ["best", "median", "worst"].flatMap((kind) => (found[kind] ?? [])
        .map(({ x, y }) => [name, kind, x, y]));
    })];
  return [["setting", "run_id", state.colour, X.key, Y.key, "spread", "on_front", "dominated_in_group"],
    ...frontChart.marks.map(({ item, dim, ring }) => [item.name, field("run_id")(item.run),
      names[at[item.run]], item.x, item.y, item.spread, !!ring, !!dim])];
};

// ---- hypervolumes: of everything, of each precision, of each family ----
function groupsOf(points) {
  const found = [{ kind: "all", name: "all", points }];
  for (const key of ["precision", "model"])
    for (const { name, place, points: own } of byGroup(points, key))
      found.push({ kind: groupOf[key].title, key, place, name, points: own });
  return found;
}
/** Per cost axis that has a reference, the area of the points that have that cost. */
function areasOf(points, Y, axes) {
  return axes.map((X) => {
    const known = points.map((one) => ({ x: mean(one.all.map(X.of)), y: one.y })).filter(drawable);
    return known.length ? hypervolume(known, { x: X.reference, y: Y.reference }, Y.sense) : undefined;
  });
}
const measured = () => xAxes.filter(({ log, reference }) => log && reference);

let areaLines = [];
function drawHypervolumes() {
  const Y = yAxis().reference === undefined ? mainY : yAxis(), axes = measured();
  const points = Y === yAxis() ? chosenPoints : pointsOf(chosen, Y, xAxis());
  const table = byId("hypervolumes").querySelector("table");
  const titles = ["group", "settings", `best ${Y.label}`, ...axes.map(({ title }) => title)];
  areaLines = [["kind", ...titles]];
  const lines = [];
  let kind = "all";
  for (const group of groupsOf(points.filter(({ y }) => y !== undefined))) {
    if (group.kind !== kind) {
      kind = group.kind;
      lines.push(element("tr", { className: "kind" }, element("th", { scope: "rowgroup", colSpan: titles.length }, `per ${kind}`)));
    }
    lines.push(...studyLines(group, Y, axes));
  }
  table.replaceChildren(element("thead", {}, element("tr", {}, ...titles.map((title, i) =>
    element("th", { scope: "col", className: i ? "n" : "" }, title)))), element("tbody", {}, ...lines));
  byId("reference").textContent = [`${Y.label} ${Y.text(Y.reference)}`,
    ...axes.map(({ title, reference }) => `${title} ${whole(reference)}`)].join("; ") + ".";
}
/** One line, or in a comparison a line per study and one of the difference. */
function studyLines(group, Y, axes) {
  const line = (label, own, areas, signs = false) => {
    const best = own && own.length ? Y.sense * Math.max(...own.map(({ y }) => Y.sense * y)) : undefined;
    areaLines.push([group.kind, label, own?.length, best, ...areas]);
    const show = (area) => area === undefined ? "–" : signs ? (area < 0 ? "−" : "+") + Math.abs(area).toFixed(3) : area.toFixed(3);
    const dot = element("i", { className: "dot" });
    if (group.key) dot.style.background = mark(group.key, group.place)[0];
    return element("tr", { className: signs ? "difference" : "" },
      element("th", { scope: "row" }, ...(group.key && !signs ? [dot] : []), label),
      ...[own ? whole(own.length) : "", best === undefined ? "" : Y.text(best), ...areas.map(show)]
        .map((text) => element("td", { className: "n" }, text)));
  };
  if (data.studies.length < 2) return [line(named(group.name), group.points, areasOf(group.points, Y, axes))];
  const sides = data.studies.map((_, study) => group.points.filter((one) =>
    data.studies[study] === groupOf.study.names[groupPlace("study", one)]));
  const [one, other] = sides.map((points) => areasOf(points, Y, axes));
  return [...sides.map((points, i) => line(`${named(group.name)} · ${data.studies[i]}`, points, [one, other][i])),
    line("difference", null, axes.map((_, i) =>
      one[i] === undefined || other[i] === undefined ? undefined : one[i] - other[i]), true)];
}
