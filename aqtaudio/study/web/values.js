"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** An element with properties; children are strings (as text) or elements. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  made.append(...children);
  return made;
}

// ---- columns: values or words by run; undefined where a run has none ----
const reader = ({ words, at, values }) =>
  words ? (run) => words[at[run]] : (run) => values[run] ?? undefined;
const figures = (columns) =>
  Object.fromEntries(Object.entries(columns).map(([key, column]) => [key, reader(column)]));
const served = figures(data.served), floating = figures(data.floating);
const differences = figures(data.difference), gaps = figures(data.gap), costs = figures(data.cost);
const columns = data.columns.map((column) =>
  ({ path: column.path, key: column.path.join("."), get: reader(column) }));
const columnOf = new Map(columns.map((column) => [column.key, column]));
const nothing = () => undefined;
const field = (key) => columnOf.get(key)?.get ?? nothing;
const groupOf = Object.fromEntries(data.groups.map((group) => [group.key, group]));
const mark = (key, place) => groupOf[key].marks[place];
const named = (text) => text === "" ? "–" : text;

// ---- numbers ----
const round = (value, digits) => String(+value.toPrecision(digits));
const short = (value) => {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (Math.abs(value) >= size) return round(value / size, 3) + unit;
  return round(value, 3);
};
const whole = (value) => Math.round(value).toLocaleString("en-US");
const shareText = (value, digits = 2) => (100 * value).toFixed(digits) + " %";
const plain = (value) => round(value, 4);
const pointsText = (value) => (value < 0 ? "−" : "+") + Math.abs(100 * value).toFixed(2);
const signed = (value) => (value < 0 ? "−" : "+") + round(Math.abs(value), 4);

// ---- the axes to choose from: `of(run)`, `text(value)` in full, `tick(value)` on an axis ----
const labelOf = (metric) => metric.replace(/^per_class\./, "").replace(/_/g, " ");
const xAxes = data.costs.map(({ key, label, title, reference }) =>
  ({ key, label, title, log: true, reference, of: costs[key], text: whole, tick: short }));
const yAxes = [];
for (const metric of data.metrics) {
  const { key, share, sense } = metric, text = share ? shareText : plain, label = labelOf(key);
  const axis = { sense, share, text, tick: share ? (v) => round(100 * v, 4) + " %" : plain };
  const change = { ...axis, sense: 0, text: share ? pointsText : signed };
  const inGroup = key.includes(".");
  yAxes.push({ ...axis, key, label, brief: label, group: inGroup ? "per class" : "served model",
    of: served[key], reference: metric.reference });
  if (floating[key]) yAxes.push({ ...axis, key: "float " + key, label: "float " + label,
    brief: "float", group: "float model", of: floating[key] });
  if (differences[key]) yAxes.push({ ...change, key: "difference " + key, of: differences[key],
    label: `${label}: integer − float`, brief: "integer − float", group: "differences" });
  if (gaps[key]) yAxes.push({ ...change, key: "gap " + key, of: gaps[key],
    label: `${label}: generalisation gap`, brief: "generalisation gap", group: "differences" });
}
const yOf = (key) => yAxes.find((axis) => axis.key === key);
const mainY = yOf(data.metric);
if (floating[data.metric]) xAxes.push({ key: "floating", label: "float " + labelOf(data.metric),
  title: "float", log: false, of: floating[data.metric], text: mainY.text, tick: mainY.tick });
