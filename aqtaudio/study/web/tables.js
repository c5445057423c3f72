// ---- the table of settings or runs, and settings that two studies share ----
let runGrid, byRun = false, twinGrid, twins = [];

const numeric = (key, title, of, text) => ({ key, title, numeric: true, order: of,
  text: (item) => { const value = of(item); return value === undefined ? undefined : text(value); } });
const word = (key, title, of, hint) => ({ key, title, order: of, hint,
  text: (item) => { const value = of(item); return value === undefined ? undefined : cut(String(value), 60); } });
const average = (of) => (item) => item.all.length > 1 ? mean(item.all.map(of)) : of(item.all[0]);
const quantity = (axis) => numeric(axis.key, axis.key.endsWith(data.metric) ? axis.brief : axis.label,
  average(axis.of), axis.text);

function identityColumns() {
  const name = { ...word("name", byRun ? "run" : "setting", ({ name: text }) => text || undefined, ({ name: text }) => text),
    link: ({ run }) => data.links[run] };
  const groups = data.groups.map(({ key, title, names, at }) => ({
    ...word(key, title, ({ run }) => names[at[run]] || undefined),
    ...(key === state.colour ? { colour: ({ run }) => mark(key, at[run])[0] } : {}) }));
  return [name, ...groups];
}
function runColumns() {
  const Y = yAxis(), main = data.metric;
  const shown = [...new Set([Y, mainY, yOf("float " + main), yOf("difference " + main), yOf("gap " + main)])];
  const [name, ...groups] = identityColumns();
  const seeds = byRun ? word("seed", "seed", ({ run }) => data.seeds.names[data.seeds.at[run]] || undefined)
    : numeric("count", "runs", ({ all }) => all.length, String);
  const found = [name];
  for (const axis of shown.filter(Boolean)) {
    found.push(quantity(axis));
    if (axis !== Y) continue;
    if (!byRun) found.push(numeric("spread", "±", ({ spread }) => spread,
      (value) => Y.text(value).replace(/^[+−]/, "")));
    found.push(...groups, seeds);
  }
  found.push(...data.costs.map(({ key, title }) => numeric(key, title, average(costs[key]), whole)));
  const width = field("width");
  if (width !== nothing) found.push({ ...numeric("width", "width", ({ run }) => width(run), String),
    text: ({ run }) => width(run) === undefined ? undefined : cut(textOf(width(run)), 20) });
  if (field("parity.outputs") !== nothing) found.push({ ...numeric("parity", "parity",
    ({ run }) => field("parity.mismatches")(run), String), text: ({ run }) => parityText(run) });
  if (LAYER_FIELDS.size) found.push(word("layers", "layers", ({ run }) => layersText(run), ({ run }) => layersText(run)));
  found.push(...varied.map((column) => word(column.key, column.title, ({ run }) => column.brief(run),
    ({ run }) => textOf(column.get(run) ?? ""))));
  if (byRun) found.push(
    word("parent", "starts from", ({ run }) => nameOf.get(field("parent")(run)) ?? field("parent")(run)),
    numeric("seconds", "seconds", ({ run }) => Number.isFinite(field("seconds")(run)) ? field("seconds")(run) : undefined, (v) => v.toFixed(1)));
  found.push(word("commit", "commit", ({ run }) => commitText(run)),
    word("run_id", "run id", ({ run }) => field("run_id")(run)));
  return found.filter(({ order }) => tableItems.some((item) => order(item) !== undefined));
}
const nameOf = new Map();
for (let run = 0; run < data.count; run++) nameOf.set(field("run_id")(run), field("name")(run));

let tableItems = [];
function drawTable() {
  tableItems = byRun ? singles(chosen, yAxis(), xAxis()) : [...chosenPoints];
  if (!byRun) tableItems.sort((a, b) => (yAxis().sense || 1) * ((b.y ?? -Infinity) - (a.y ?? -Infinity)));
  const settings = new Set([...frontItems].map((run) => data.settings.at[run]));
  runGrid.show(tableItems.length ? runColumns() : identityColumns(), tableItems,
    ({ setting }) => settings.has(setting));
}
function setByRun(value) {
  byRun = value;
  byId("by-run").setAttribute("aria-pressed", String(byRun));
  byId("by-setting").setAttribute("aria-pressed", String(!byRun));
  drawTable();
}

// ---- two studies: the settings of both ----
function drawTwins() {
  const [one, other] = data.studies, { names } = groupOf.study, pairs = new Map();
  for (const item of chosenPoints.filter(({ y }) => y !== undefined)) {
    const twin = data.settings.twins[item.setting], study = names[groupPlace("study", item)];
    if (!pairs.has(twin)) pairs.set(twin, {});
    pairs.get(twin)[study] = item;
  }
  const Y = yAxis(), X = xAxis();
  twins = [...pairs.values()].filter((pair) => pair[one] && pair[other])
    .map((pair) => ({ ...pair[one], one: pair[one], other: pair[other], change: pair[one].y - pair[other].y }));
  twins.sort((a, b) => (Y.sense || 1) * (b.change - a.change));
  const change = Y.share ? pointsText : signed;
  twinGrid.show([identityColumns()[0], ...identityColumns().filter(({ key }) => key === "precision" || key === "model"),
    numeric("one", `${Y.label}: ${one}`, ({ one: { y } }) => y, Y.text),
    numeric("other", other, ({ other: { y } }) => y, Y.text),
    numeric("change", "difference", (pair) => pair.change, change),
    numeric("one x", `${X.title}: ${one}`, ({ one: { x } }) => x, X.text),
    numeric("other x", other, ({ other: { x } }) => x, X.text)], twins);
  const better = twins.filter((pair) => (Y.sense || 1) * pair.change > 0).length;
  const average = mean(twins.map((pair) => pair.change));
  byId("comparison-sum").textContent = twins.length
    ? `${whole(twins.length)} settings are in both; ${one} is better in ${whole(better)}. `
      + `Mean difference in ${Y.label}: ${change(average)}${Y.share ? " points" : ""}.`
    : "No setting is in both: only fronts and hypervolumes can be compared.";
}

function buildTables(onPick) {
  runGrid = new Grid(byId("runs").querySelector(".grid"), "Table of settings or runs", onPick);
  byId("by-run").addEventListener("click", () => setByRun(true));
  byId("by-setting").addEventListener("click", () => setByRun(false));
  tools("runs", () => runGrid.lines());
  whenInSight("runs", drawTable);
  if (data.studies.length < 2) return;
  byId("comparison").hidden = false;
  twinGrid = new Grid(byId("comparison").querySelector(".grid"), "Settings of both studies", onPick);
  tools("comparison", () => twinGrid.lines());
  whenInSight("comparison", drawTwins);
}
