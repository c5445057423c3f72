// ---- which runs are shown, and the points that they make ----
const FILTERS = [...data.groups.map(({ key, title, names, at }) => ({ key, title, names, at })),
  { key: "seed", title: "seed", ...data.seeds }];
const state = {
  text: "", off: Object.fromEntries(FILTERS.map(({ key }) => [key, new Set()])),
  y: data.metric, x: xAxes[0].key, show: "settings",
  colour: data.studies.length > 1 ? "study" : "precision",
};
const listeners = [];
const xAxis = () => xAxes.find(({ key }) => key === state.x);
const yAxis = () => yOf(state.y);

// What a word is looked for in: everything short that a run says of itself.
const haystacks = [];
function haystack(run) {
  if (!haystacks.length) {
    const kept = columns.filter(({ path }) => !["metrics", "costs", "bits", "parity"].includes(path[0]));
    for (let i = 0; i < data.count; i++)
      haystacks.push(kept.map(({ get }) => get(i) ?? "").join("\n").toLowerCase());
  }
  return haystacks[run];
}

/** Indices of the runs that pass every filter. */
function chosenRuns() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const closed = FILTERS.filter(({ key }) => state.off[key].size);
  const found = [];
  for (let run = 0; run < data.count; run++)
    if (closed.every(({ key, at }) => !state.off[key].has(at[run]))
        && words.every((word) => haystack(run).includes(word))) found.push(run);
  return found;
}

const mean = (values) => values.some((value) => value === undefined) || !values.length ? undefined
  : values.reduce((sum, value) => sum + value, 0) / values.length;
function deviation(values, centre) {
  if (values.length < 2) return undefined;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (values.length - 1));
}

/**
 * Runs by setting: {name, all, runs: [{run, seed, x, y}], x, y, spread, run}; `all` are the setting's
 * chosen runs, `runs` those with a y, `run` the one nearest to their mean.
 */
function pointsOf(runs, Y, X) {
  const groups = new Map();
  for (const run of runs) {
    const setting = data.settings.at[run];
    if (!groups.has(setting)) groups.set(setting, []);
    groups.get(setting).push(run);
  }
  return [...groups].map(([setting, all]) => point(data.settings.names[setting], all, Y, X));
}
function point(name, all, Y, X) {
  const runs = all.map((run) => ({ run, seed: data.seeds.at[run], x: X.of(run), y: Y.of(run) }))
    .filter(({ y }) => y !== undefined);
  const ys = runs.map(({ y }) => y), y = mean(ys);
  const nearest = runs.reduce((best, other) =>
    best && Math.abs(best.y - y) <= Math.abs(other.y - y) ? best : other, null);
  return { name, all, runs, y, spread: deviation(ys, y), x: mean(runs.map(({ x }) => x)),
    run: nearest ? nearest.run : all[0], setting: data.settings.at[all[0]] };
}
const singles = (runs, Y, X) => runs.map((run) =>
  point(field("name")(run) ?? field("run_id")(run), [run], Y, X));
const drawable = ({ x, y }) => x !== undefined && y !== undefined;
const groupPlace = (key, { run }) => groupOf[key].at[run];

/** The points of each name of a group that has any, in the order of the names. */
function byGroup(points, key) {
  const found = groupOf[key].names.map((name, place) => ({ name, place, points: [] }));
  for (const one of points) found[groupPlace(key, one)].points.push(one);
  return found.filter(({ points: own }) => own.length);
}

/** Draws a section when the selection changes, but not before it comes into sight. */
const waiting = new Map();
const sight = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    const section = waiting.get(target);
    section.inSight = isIntersecting;
    if (isIntersecting && section.stale) drawNow(section);
  }
}, { rootMargin: "400px" });
function drawNow(section) {
  section.stale = false;
  section.draw();
}
function whenInSight(id, draw) {
  const section = { draw, stale: false, inSight: false };
  waiting.set(byId(id), section);
  listeners.push(() => {
    section.stale = true;
    if (section.inSight) drawNow(section);
  });
  sight.observe(byId(id));
}
function drawAll() {
  for (const section of waiting.values()) if (section.stale) drawNow(section);
}
addEventListener("beforeprint", drawAll);

let chosen = [], chosenPoints = [];
function update() {
  chosen = chosenRuns();
  chosenPoints = pointsOf(chosen, yAxis(), xAxis());
  for (const listen of listeners) listen();
}

// ---- the bar of filters ----
function toggle(key, place) {
  const off = state.off[key];
  off.has(place) ? off.delete(place) : off.add(place);
  update();
}
function buildMenus() {
  for (const { key, title, names } of FILTERS) {
    if (names.length < 2) continue;
    const boxes = names.map((name, place) => {
      const box = element("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => toggle(key, place));
      return box;
    });
    const all = element("button", { type: "button" }, "all"), none = element("button", { type: "button" }, "none");
    all.addEventListener("click", () => { state.off[key].clear(); update(); });
    none.addEventListener("click", () => { state.off[key] = new Set(names.keys()); update(); });
    const label = element("summary");
    const menu = element("details", { className: "menu" }, label, element("div", {},
      element("p", {}, all, none),
      ...names.map((name, place) => element("label", {}, boxes[place], " ", named(name)))));
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { menu.open = false; label.focus(); }
    });
    listeners.push(() => {
      const off = state.off[key];
      boxes.forEach((box, place) => { box.checked = !off.has(place); });
      label.textContent = off.size ? `${title} ${names.length - off.size}/${names.length}` : title;
      label.classList.toggle("on", off.size > 0);
    });
    byId("menus").append(menu);
  }
  addEventListener("click", ({ target }) => {
    for (const menu of document.querySelectorAll(".menu[open]"))
      if (!menu.contains(target)) menu.open = false;
  });
}
function buildFilters() {
  buildMenus();
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  let typing = 0;
  byId("text").addEventListener("input", ({ target }) => {
    clearTimeout(typing);
    typing = setTimeout(() => { state.text = target.value; update(); }, data.count > 500 ? 120 : 0);
  });
  byId("reset").addEventListener("click", () => {
    state.text = byId("text").value = "";
    for (const off of Object.values(state.off)) off.clear();
    update();
    byId("text").focus();
  });
  listeners.push(() => {
    const few = chosen.length < data.count;
    byId("shown").textContent = `${few ? whole(chosen.length) + " of " : ""}${whole(data.count)} runs`;
    byId("reset").hidden = !few && !state.text;
  });
}
