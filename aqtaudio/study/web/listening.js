// ---- clips to listen to: what went in, what runs made of it, what it should be ----
function player(source, label) {
  return element("audio", { controls: true, preload: "none", src: source, "aria-label": label });
}
function buildListening() {
  if (!data.heard.length) return;
  byId("listening").hidden = false;
  const runs = Object.keys(data.heard[0].made);
  const places = new Map([...Array(data.count).keys()].map((run) => [field("run_id")(run), run]));
  const title = (id) => field("name")(places.get(id)) ?? id;
  const head = ["clip", "input", ...runs.map(title), "reference"];
  const lines = data.heard.map((clip) => element("tr", {}, element("th", { scope: "row" }, clip.title),
    ...[["input", clip.given], ...runs.map((id) => [title(id), clip.made[id]]), ["reference", clip.wanted]]
      .map(([name, source]) => element("td", {}, player(source, `${clip.title}: ${name}`)))));
  byId("listening").querySelector("table").replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...lines));
}
