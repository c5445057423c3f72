// ---- bits and ranks per layer ----
const LAYER_FIELDS = new Map();
for (const column of columns) {
  const [kind, layer, ...more] = column.path;
  if (!["bits", "ranks"].includes(kind) || layer === undefined || more.length) continue;
  if (!LAYER_FIELDS.has(layer)) LAYER_FIELDS.set(layer, { layer, bits: nothing, ranks: nothing });
  LAYER_FIELDS.get(layer)[kind] = column.get;
}
const isCount = (value) => Number.isInteger(value);
function layerFacts({ bits, ranks }, run) {
  const pair = bits(run), rank = ranks(run);
  const [weights, activations] = Array.isArray(pair) && pair.length === 2 ? pair.map((n) => isCount(n) ? n : undefined) : [];
  return [weights, activations, isCount(rank) ? rank : undefined];
}
function layerText([weights, activations, rank]) {
  const bits = [weights, activations].filter((n) => n !== undefined).join("/");
  return [bits, rank === undefined ? "" : `r${rank}`].filter(Boolean).join(" ");
}
/** [[layer, text]] of a run. */
const layersOf = (run) => [...LAYER_FIELDS.values()].map((one) => [one.layer, layerText(layerFacts(one, run))])
  .filter(([, text]) => text);

const BIT_COLOURS = [[2, "#fbe3c8"], [4, "#f2b36b"], [6, "#b5cfe8"], [8, "#6ba3d6"], [32, "#2b5f99"]];
const bitColour = (bits) => (BIT_COLOURS.find(([most]) => bits <= most) ?? BIT_COLOURS.at(-1))[1];
const LINES_PER_PAGE = 40;

const layers = { page: 0, shown: [], names: [], most: new Map() };

function layerPoints() {
  const place = +byId("layers-family").value, Y = yAxis();
  let points = chosenPoints.filter((one) => groupPlace("model", one) === place && layersOf(one.run).length);
  if (byId("layers-front").checked) {
    const own = points.filter(drawable);
    const kept = new Set(front(own, Y.sense || 1));
    for (const group of byGroup(own, "precision")) for (const one of front(group.points, Y.sense || 1)) kept.add(one);
    points = points.filter((one) => kept.has(one));
  }
  return points.sort((a, b) => (Y.sense || 1) * ((b.y ?? -Infinity) - (a.y ?? -Infinity)));
}

function drawLayers() {
  layers.shown = layerPoints();
  const used = [...LAYER_FIELDS.values()].map((one) => ({ ...one,
    facts: layers.shown.map(({ run }) => layerFacts(one, run)) }))
    .filter(({ facts: found }) => found.some((fact) => layerText(fact)));
  layers.used = used.map((one) => ({ ...one,
    most: Math.max(1, ...one.facts.map(([, , rank]) => rank ?? 0)) }));
  layers.page = Math.min(layers.page, Math.max(0, Math.ceil(layers.shown.length / LINES_PER_PAGE) - 1));
  const from = layers.page * LINES_PER_PAGE, till = Math.min(from + LINES_PER_PAGE, layers.shown.length);
  const table = byId("layers").querySelector("table");
  const head = element("tr", {}, element("th", { scope: "col" }, "setting"),
    element("th", { scope: "col", className: "n" }, yAxis().label),
    ...layers.used.map(({ layer }) => element("th", { scope: "col", className: "layer" }, element("span", {}, layer))));
  const lines = [];
  for (let i = from; i < till; i++) lines.push(layerLine(i));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
  const pages = byId("layers").querySelector(".pages");
  pages.hidden = layers.shown.length <= LINES_PER_PAGE;
  pages.querySelector("output").textContent = `${from + 1}–${till} of ${whole(layers.shown.length)}`;
  pages.querySelector(".before").disabled = !from;
  pages.querySelector(".next").disabled = till === layers.shown.length;
}
function layerColour(fact, most) {
  const which = +byId("layers-colour").value, value = fact[which];
  if (value === undefined) return "";
  return which < 2 ? bitColour(value) : `hsl(160 45% ${88 - 45 * value / most}%)`;
}
function layerLine(i) {
  const one = layers.shown[i], Y = yAxis();
  const name = element("th", { scope: "row", title: one.name }, one.name || "–");
  return element("tr", {}, name, element("td", { className: "n" }, one.y === undefined ? "–" : Y.text(one.y)),
    ...layers.used.map(({ facts: found, most }) => {
      const cell = element("td", { className: "cell" }, layerText(found[i])), colour = layerColour(found[i], most);
      if (colour) { cell.style.background = colour; cell.classList.add("filled"); }
      return cell;
    }));
}

/** The heat map as a picture: the page of it that is shown. */
function layersCanvas() {
  const from = layers.page * LINES_PER_PAGE, shown = layers.shown.slice(from, from + LINES_PER_PAGE);
  const left = 250, top = 120, wide = 54, high = 24;
  const canvas = element("canvas", { width: 2 * (left + wide * layers.used.length + 10), height: 2 * (top + high * shown.length + 10) });
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.font = `11px ${css("--font")}`;
  pen.fillStyle = "#1c2024";
  shown.forEach(({ name }, i) => pen.fillText(name, 6, top + high * i + 16, left - 12));
  layers.used.forEach(({ layer, facts: found, most }, x) => {
    pen.save();
    pen.translate(left + wide * x + wide / 2, top - 6);
    pen.rotate(-Math.PI / 3);
    pen.fillText(layer, 0, 0, top);
    pen.restore();
    shown.forEach((_, i) => {
      const fact = found[from + i], text = layerText(fact);
      pen.fillStyle = layerColour(fact, most) || "#f3f4f6";
      if (text) pen.fillRect(left + wide * x + 1, top + high * i + 1, wide - 2, high - 2);
      pen.fillStyle = "#1c2024";
      pen.fillText(text, left + wide * x + 6, top + high * i + 16, wide - 10);
    });
  });
  return canvas;
}
const layerLines = () => [["setting", "run_id", yAxis().label, ...layers.used.map(({ layer }) => layer)],
  ...layers.shown.map((one, i) => [one.name, field("run_id")(one.run), one.y,
    ...layers.used.map(({ facts: found }) => layerText(found[i]))])];

function buildLayers() {
  if (!LAYER_FIELDS.size) return;
  const places = new Set();
  for (let run = 0; run < data.count; run++) if (layersOf(run).length) places.add(groupOf.model.at[run]);
  if (!places.size) return;
  byId("layers").hidden = false;
  for (const place of [...places].sort((a, b) => a - b))
    byId("layers-family").add(new Option(named(groupOf.model.names[place]), place));
  const again = () => { layers.page = 0; drawLayers(); };
  for (const id of ["layers-family", "layers-colour", "layers-front"]) byId(id).addEventListener("change", again);
  const pages = byId("layers").querySelector(".pages");
  pages.querySelector(".before").addEventListener("click", () => { layers.page--; drawLayers(); });
  pages.querySelector(".next").addEventListener("click", () => { layers.page++; drawLayers(); });
  tools("layers", layerLines, { layers: layersCanvas });
  whenInSight("layers", drawLayers);
}
