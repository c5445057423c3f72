"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const plot = byId("plot"), tip = byId("tip"), chooseX = byId("x"), chooseY = byId("y");
const hidden = new Set();

// ---- numbers ----
const short = (v) => {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (v >= size) return +(v / size).toPrecision(3) + unit;
  return String(+v.toPrecision(3));
};
const whole = (v) => Math.round(v).toLocaleString("en-US");
const quality = (v, digits = 2) =>
  v === null ? "–" : data.percent ? (100 * v).toFixed(digits) + " %" : String(+v.toPrecision(4));

// ---- what can be drawn ----
const xs = data.axes.map(({ key, label }) =>
  ({ key, label, log: true, get: (p) => p.costs[key] ?? null, text: short }));
xs.push({ key: "floating", label: "float " + data.metric, log: false,
  get: (p) => p.floating, text: (v) => quality(v, 1) });
const gap = (p) => p.integer === null || p.floating === null ? null : p.integer - p.floating;
const ys = [
  { key: "quality", label: data.metric + " of the served model", get: (p) => p.quality, front: true },
  { key: "floating", label: "float " + data.metric, get: (p) => p.floating, front: true },
  { key: "gap", label: "integer − float", get: gap, front: false },
];
for (const [select, options] of [[chooseX, xs], [chooseY, ys]]) {
  for (const { key, label } of options) select.add(new Option(label, key));
  select.addEventListener("change", draw);
}
byId("dominated").addEventListener("change", draw);

// ---- shapes: matplotlib's letters ----
const polygon = (corners, start, inner) => Array.from({ length: corners }, (_, i) => {
  const turn = start + 2 * Math.PI * i / corners, r = inner && i % 2 ? inner : 1;
  return [r * Math.sin(turn), -r * Math.cos(turn)];
});
const plus = [[-.4, -1], [.4, -1], [.4, -.4], [1, -.4], [1, .4], [.4, .4], [.4, 1], [-.4, 1],
  [-.4, .4], [-1, .4], [-1, -.4], [-.4, -.4]];
const outlines = {
  "^": polygon(3, 0), v: polygon(3, Math.PI), D: polygon(4, 0), s: polygon(4, Math.PI / 4),
  P: plus, X: plus.map(([x, y]) => [(x - y) * .75, (x + y) * .75]),
};
function shape(kind, colour, r) {
  if (!outlines[kind]) return make("circle", { class: "mark", r: r * .9, fill: colour });
  const scale = kind === "^" || kind === "v" || kind === "s" ? 1.15 : 1;
  const points = outlines[kind].map(([x, y]) => [x * r * scale, y * r * scale].join(",")).join(" ");
  return make("polygon", { class: "mark", points, fill: colour });
}
function make(tag, attributes = {}, text = "") {
  const element = document.createElementNS(plot.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}
const marks = Object.fromEntries(data.precisions.map((p) => [p.name, p]));

// ---- legend ----
for (const { name, colour, shape: kind } of data.precisions) {
  const count = data.points.filter((p) => p.precision === name).length;
  if (!count) continue;
  const button = document.createElement("button");
  const icon = make("svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" });
  icon.append(shape(kind, colour, 6));
  button.append(icon, `${name} ${count}`);
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    hidden.has(name) ? hidden.delete(name) : hidden.add(name);
    button.setAttribute("aria-pressed", String(!hidden.has(name)));
    draw();
  });
  byId("legend").append(button);
}

// ---- fronts: low cost, high quality, duplicates once ----
function front(items) {
  let best = -Infinity;
  return [...items].sort((a, b) => a.x - b.x || b.y - a.y)
    .filter(({ y }) => y > best && ((best = y), true));
}
function ticks(low, high, log, room) {
  const found = [];
  if (log) {
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const m of [1, 2, 5]) found.push(m * 10 ** e);
    let kept = found.filter((v) => v >= low && v <= high);
    if (kept.length > room) kept = kept.filter((v) => /^1/.test(v.toExponential()));
    return kept;
  }
  const raw = (high - low) / room, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  for (let i = Math.ceil(low / step); i * step <= high + 1e-12; i++) found.push(i * step);
  return found;
}
function range(values, log) {
  let low = Math.min(...values), high = Math.max(...values);
  if (log) return [low / 1.2, high * 1.2];
  const room = (high - low || .02) * .07;
  return [low - room, high + room];
}

// ---- the chart ----
let drawn = [];
function draw() {
  const X = xs.find((x) => x.key === chooseX.value), Y = ys.find((y) => y.key === chooseY.value);
  const width = plot.clientWidth, height = Math.round(Math.min(480, Math.max(300, width * .5)));
  const left = 56, right = 14, top = 12, bottom = 46;
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  plot.style.height = height + "px";
  plot.replaceChildren();
  tip.style.visibility = "hidden";
  let items = data.points.filter((p) => !hidden.has(p.precision))
    .map((p) => ({ p, x: X.get(p), y: Y.get(p) }))
    .filter(({ x, y }) => x !== null && y !== null);
  const costs = X.log && Y.front;
  const groups = data.precisions.map(({ name }) => items.filter(({ p }) => p.precision === name));
  const all = costs ? front(items) : [], own = costs ? groups.map(front) : [];
  const kept = new Set(own.flat());
  if (costs && !byId("dominated").checked) items = items.filter((item) => kept.has(item));
  drawn = [];
  if (!items.length) {
    plot.append(make("text", { x: left, y: 40 }, "No setting has these figures."));
    return;
  }
  const band = Y.key === "quality" ? ({ p, y }) => [y - (p.spread ?? 0), y + (p.spread ?? 0)]
    : ({ y }) => [y];
  const [x0, x1] = range(items.map(({ x }) => x), X.log), [y0, y1] = range(items.flatMap(band));
  const along = X.log ? Math.log : (v) => v;
  const px = (v) => left + (along(v) - along(x0)) / (along(x1) - along(x0)) * (width - left - right);
  const py = (v) => height - bottom - (v - y0) / (y1 - y0) * (height - top - bottom);
  const yText = (v) => data.percent ? +(100 * v).toFixed(2) + " %" : String(+v.toPrecision(4));
  for (const v of ticks(x0, x1, X.log, Math.floor((width - left) / 62)))
    plot.append(make("line", { class: "grid", x1: px(v), x2: px(v), y1: top, y2: height - bottom }),
      make("text", { x: px(v), y: height - bottom + 18, "text-anchor": "middle" }, X.text(v)));
  for (const v of ticks(y0, y1, false, Math.floor((height - top - bottom) / 48)))
    plot.append(make("line", { class: "grid", x1: left, x2: width - right, y1: py(v), y2: py(v) }),
      make("text", { x: left - 8, y: py(v) + 4, "text-anchor": "end" }, yText(v)));
  plot.append(make("path", { class: "axis", fill: "none",
    d: `M${left} ${top}V${height - bottom}H${width - right}` }));
  plot.append(make("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
    X.label + (X.log ? " (log)" : "")));
  const stairs = (steps, attributes) => steps.length && plot.append(make("path", { ...attributes,
    d: steps.map(({ x, y }, i) => i ? `H${px(x)}V${py(y)}` : `M${px(x)} ${py(y)}`).join("") }));
  stairs(all, { class: "all" });
  own.forEach((steps, i) => stairs(steps, { class: "own", stroke: data.precisions[i].colour }));
  if (X.key === "floating" && Y.key === "quality") {
    const low = Math.max(x0, y0), high = Math.min(x1, y1);
    if (low < high) plot.append(make("line",
      { class: "diagonal", x1: px(low), y1: py(low), x2: px(high), y2: py(high) }));
  }
  const ringed = new Set(all);
  const order = [...items].sort((a, b) => a.x - b.x || a.y - b.y);
  for (const item of order) {
    const { p, x, y } = item, { colour, shape: kind } = marks[p.precision];
    const dim = costs && !kept.has(item);
    const g = make("g", { class: "point" + (dim ? " dim" : ""), tabindex: "-1", role: "img",
      transform: `translate(${px(x)} ${py(y)})`,
      "aria-label": `${p.name}, ${p.precision}: ${yText(y)}, ${X.label} ${X.text(x)}` });
    if (p.spread && Y.key === "quality") g.append(make("line", { "stroke-width": 1.5,
      y1: py(y + p.spread) - py(y), y2: py(y - p.spread) - py(y), stroke: colour }));
    g.append(make("circle", { class: "focus", r: 12 }), shape(kind, colour, 6));
    if (ringed.has(item)) g.append(make("circle", { class: "ring", r: 9.5 }));
    g.addEventListener("focus", () => show(item, g));
    g.addEventListener("blur", () => hide(g));
    g.addEventListener("click", () => g.focus());
    g.addEventListener("pointerenter", (e) => e.pointerType === "mouse" && show(item, g));
    g.addEventListener("pointerleave", () => document.activeElement !== g && hide(g));
    plot.append(g);
    drawn.push({ item, g });
  }
  drawn[0].g.setAttribute("tabindex", "0");
}
function show({ p }, g) {
  for (const { g: other } of drawn) other.classList.toggle("at", other === g);
  const list = document.createElement("dl"), title = document.createElement("b");
  title.textContent = p.name;
  const line = (name, value) => {
    for (const [tag, text] of [["dt", name], ["dd", value]])
      list.append(Object.assign(document.createElement(tag), { textContent: text }));
  };
  line("precision", p.precision);
  if (p.model) line("model", p.model);
  line(data.metric, quality(p.quality) + (p.spread === null ? "" : ` ± ${quality(p.spread)}`));
  line("float", quality(p.floating));
  for (const { key } of data.axes)
    if (p.costs[key]) line(key.replace("_bytes", ", B"), whole(p.costs[key]));
  line("seeds", p.runs);
  tip.replaceChildren(title, list);
  const at = g.transform.baseVal.consolidate().matrix;
  const beside = at.e + 18 + tip.offsetWidth < plot.clientWidth ? at.e + 18 : at.e - 18 - tip.offsetWidth;
  tip.style.left = Math.max(0, Math.min(beside, plot.clientWidth - tip.offsetWidth)) + "px";
  tip.style.top = Math.max(0, Math.min(at.f - 30, plot.clientHeight - tip.offsetHeight)) + "px";
  tip.style.visibility = "visible";
}
function hide(g) {
  g.classList.remove("at");
  tip.style.visibility = "hidden";
}
plot.addEventListener("keydown", (event) => {
  const at = drawn.findIndex(({ g }) => g === document.activeElement);
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (at < 0) return;
  if (event.key === "Enter") reveal(drawn[at].item.p.id);
  if (event.key === "Escape") hide(drawn[at].g);
  if (!step) return;
  event.preventDefault();
  drawn[at].g.setAttribute("tabindex", "-1");
  const next = drawn[(at + step + drawn.length) % drawn.length].g;
  next.setAttribute("tabindex", "0");
  next.focus();
});
function reveal(id) {
  for (const row of document.querySelectorAll("tr.found")) row.classList.remove("found");
  const row = byId("runs-" + id);
  row.hidden = false;
  row.classList.add("found");
  row.scrollIntoView({ block: "center" });
}

// ---- tables: sort by a click on a title, filter the runs ----
function compare(a, b) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const x = Number(a), y = Number(b);
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => {
    title.firstChild.addEventListener("click", () => {
      const down = title.getAttribute("aria-sort") === "ascending";
      for (const other of titles) other.removeAttribute("aria-sort");
      title.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [row.cells[column].dataset.v, row]);
      // Missing figures stay last, whichever way.
      keyed.sort(([a], [b]) => compare(a, b) * (down && a !== undefined && b !== undefined ? -1 : 1));
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
const runRows = [...byId("runs").tBodies[0].rows];
const words = runRows.map((row) => row.textContent.toLowerCase());
byId("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  runRows.forEach((row, i) => { row.hidden = !wanted.every((word) => words[i].includes(word)); });
  const left = runRows.filter((row) => !row.hidden).length;
  byId("shown").textContent = left === runRows.length ? "" : `${left} of ${runRows.length} runs`;
});

// A phone resizes the window's height as its bars come and go: only the width matters.
let drawnWidth = plot.clientWidth;
addEventListener("resize", () => {
  if (plot.clientWidth !== drawnWidth) draw();
  drawnWidth = plot.clientWidth;
});
draw();
