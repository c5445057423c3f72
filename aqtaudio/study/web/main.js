// ---- everything together ----
function fillSelects() {
  const groups = new Map();
  for (const { key, label, group } of yAxes) {
    if (!groups.has(group)) groups.set(group, element("optgroup", { label: group }));
    groups.get(group).append(new Option(label, key));
  }
  byId("y").append(...groups.values());
  for (const { key, label } of xAxes) byId("x").add(new Option(label, key));
  for (const { key, title, names } of data.groups)
    if (names.length > 1 || key === state.colour) byId("colour").add(new Option(title, key));
  for (const key of ["x", "y", "colour", "show"]) {
    byId(key).value = state[key];
    byId(key).addEventListener("change", ({ target }) => {
      state[key] = target.value;
      update();
    });
  }
}

// The address says what is shown, so that a link to it can be sent.
const SHARED = { x: "x", y: "y", colour: "colour", show: "show", text: "filter" }, usual = { ...state };
function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const [key, name] of Object.entries(SHARED)) {
    const value = asked.get(name);
    if (value === null || (key !== "text" && ![...byId(key).options].some((one) => one.value === value))) continue;
    state[key] = byId(key).value = value;
  }
}
function writeAddress() {
  const said = Object.entries(SHARED).filter(([key]) => state[key] !== usual[key])
    .map(([key, name]) => [name, state[key]]);
  history.replaceState(null, "", said.length ? "#" + new URLSearchParams(said) : location.pathname + location.search);
}

function showPoint(item, moves = false) {
  if (!item || !item.all) return emptyCard();
  fillCard(item, findInTable);
  if (moves) byId("card").focus();
}
function findInTable(point) {
  drawAll();
  const isIt = ({ run, all }) => run === point.run || (!byRun && all.includes(point.run));
  if (!runGrid.reveal(isIt)) { setByRun(point.all.length === 1); runGrid.reveal(isIt); }
  runGrid.holder.scrollIntoView({ block: "center" });
  runGrid.holder.focus({ preventScroll: true });
}
function fromTable(item) {
  const isIt = ({ run, setting }) => run === item.run || (state.show !== "runs" && setting === item.setting);
  if (!frontChart.reveal(isIt) && !byId("whole").hidden) {
    byId("whole").firstElementChild.checked = true;
    drawFronts();
    frontChart.reveal(isIt);
  }
  fillCard(item, findInTable);
  byId("fronts").scrollIntoView({ block: "start" });
}

fillSelects();
readAddress();
byId("whole").addEventListener("change", drawFronts);
buildFilters();
buildDownloads();
frontChart = new Chart(byId("fronts-chart"), "Cost against quality", { onShow: showPoint, onPick: showPoint });
charts.push(frontChart);
tools("fronts", frontLines, { fronts: () => frontChart.canvas });
tools("hypervolumes", () => areaLines);
listeners.push(drawFronts);
whenInSight("hypervolumes", drawHypervolumes);
buildTables(fromTable);
buildLayers();
buildListening();
buildHistory(showPoint);
emptyCard();
update();
listeners.push(writeAddress);
document.documentElement.dataset.ready = "true";
