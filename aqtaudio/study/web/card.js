// ---- the card: everything about the point that is pointed at ----

/** What differs between the values of a setting: `Recipe(mode='native', ...)` -> `mode='native'`. */
function shortened(words) {
  const texts = words.map((word) => String(word).replace(/\s*=\s*/g, "="));
  const heads = texts.map((text) => text.match(/^\w+(?=\()/)?.[0] ?? "");
  const parts = texts.map((text) => text.match(/\w+=(?:'[^']*'|\([^()]*\)|[^(),\s]+)/g) ?? []);
  const shared = new Set(parts[0]?.filter((part) => parts.every((other) => other.includes(part))));
  const isOneKind = new Set(heads).size === 1;
  const made = parts.map((own, i) => {
    const differing = own.filter((part) => !shared.has(part));
    return [...(isOneKind && differing.length ? [] : [heads[i]]), ...differing].join(" ");
  });
  const isClear = words.length > 1 && new Set(made).size === words.length
    && words.every((word) => typeof word === "string" && /=/.test(word));
  return new Map(words.map((word, i) => [word, isClear ? made[i] : undefined]));
}
const textOf = (value) => typeof value === "string" ? value : JSON.stringify(value);
const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

// The settings that differ between runs, without those that have a column of their own.
const varied = columns.filter(({ path: [first, name], key }) =>
  first === "config_delta" && name !== "init_from" && !/\.(seed|width)$/.test(key))
  .map((column) => {
    const found = new Map();
    let some = false, none = false;
    for (let run = 0; run < data.count; run++) {
      const value = column.get(run);
      if (value === undefined) none = true;
      else { some = true; found.set(textOf(value), value); }
    }
    const short = found.size <= 400 ? shortened([...found.values()]) : new Map();
    return { ...column, title: column.path.slice(1).join("."), kinds: found.size + (some && none ? 1 : 0),
      brief: (run) => {
        const value = column.get(run);
        return value === undefined ? undefined : short.get(value) ?? textOf(value);
      } };
  }).filter(({ kinds }) => kinds > 1);

function facts(pairs) {
  const list = element("dl");
  for (const [name, value, hint] of pairs)
    if (value !== undefined) list.append(element("dt", {}, name),
      element("dd", { title: hint ?? "" }, value));
  return list;
}
const spreadText = (axis, value, spread) => value === undefined ? undefined
  : axis.text(value) + (spread === undefined ? "" : ` ± ${axis.text(spread).replace(/^[+−]/, "")}`);

function layersText(run) {
  const layers = layersOf(run);
  const kinds = new Map();
  for (const [, text] of layers) kinds.set(text, (kinds.get(text) ?? 0) + 1);
  return layers.length ? [...kinds].map(([text, count]) => `${count} × ${text}`).join(", ") : undefined;
}

function fillCard(point, onFind) {
  const card = byId("card"), { run } = point, Y = yAxis();
  card.replaceChildren();
  if (!point.all) return;
  const groups = data.groups.map(({ key, names, at }) => {
    const dot = element("i", { className: "dot" });
    if (key === state.colour) dot.style.background = mark(key, at[run])[0];
    return element("span", { className: "tag" }, ...(key === state.colour ? [dot] : []), named(names[at[run]]));
  });
  const means = (of) => mean(point.all.map(of));
  const main = point.runs.length ? [[Y.label, spreadText(Y, point.y, point.spread)]] : [];
  const others = [mainY, yOf("float " + data.metric), yOf("difference " + data.metric),
    yOf("gap " + data.metric)].filter((axis) => axis && axis.key !== Y.key)
    .map((axis) => [axis.brief, spreadText(axis, means(axis.of))]);
  const costFacts = data.costs.map(({ key, title }) =>
    [title, means(costs[key]) === undefined ? undefined : whole(means(costs[key]))]);
  const delta = varied.map((column) => [column.title, column.brief(run), textOf(column.get(run) ?? "")]);
  const links = point.all.filter((one) => data.links[one]);
  const find = element("button", { type: "button" }, "Show in the table");
  find.addEventListener("click", () => onFind(point));
  card.append(element("h3", {}, point.name || "–"), element("p", { className: "tags" }, ...groups),
    facts([...main, ...others]), facts(costFacts),
    facts([["parity", parityText(run)], ["layers", layersText(run)],
      ["seeds", point.all.length > 1 ? point.all.map((one) => named(data.seeds.names[data.seeds.at[one]])).join(", ") : undefined],
      ["commit", commitText(run)]]));
  if (delta.some(([, value]) => value !== undefined))
    card.append(element("h4", {}, "What it changes"), facts(delta));
  card.append(element("p", { className: "links" }, find, ...links.map((one) =>
    element("a", { href: data.links[one] }, `Artifact ${field("run_id")(one)}`))));
  if (links.length)
    card.append(element("h4", {}, "Its bundle for a device"), ...links.map((one) =>
      element("p", { className: "command" }, element("code", {}, bundleCommand(one)))));
}
/** What makes the C++ bundle, operator report and golden vectors of a run's artifact again. */
function bundleCommand(run) {
  const at = data.groups.find(({ key }) => key === "study")?.at[run] ?? 0;
  const id = field("run_id")(run);
  return `aqtaudio export results/${data.studies[at]}/artifacts/${id} --out ${id}`;
}
function emptyCard() {
  byId("card").replaceChildren(element("p", { className: "hint" },
    "Point at a mark for its settings, costs and files; click or press Enter to hold it."));
}

function parityText(run) {
  const wrong = field("parity.mismatches")(run), outputs = field("parity.outputs")(run);
  return Number.isFinite(wrong) && Number.isFinite(outputs)
    ? `${whole(wrong)} / ${whole(outputs)}` : undefined;
}
function commitText(run) {
  const commit = field("commit")(run);
  return commit === undefined ? undefined : String(commit).slice(0, 8) + (field("dirty")(run) ? "+" : "");
}
