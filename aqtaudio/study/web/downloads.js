// ---- what leaves the page: CSV, JSON, PNG ----
function save(name, type, content) {
  const link = element("a", { download: `${document.title.replace(/\W+/g, "_")}_${name}`,
    href: URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
const quoted = (value) => {
  const text = value === undefined || value === null ? ""
    : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
};
/** Lines are arrays; the first holds the titles. */
const csv = (lines) => lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
const saveCsv = (name, lines) => save(name + ".csv", "text/csv", csv(lines));

function runsCsv(runs) {
  const used = columns.filter(({ get }) => runs.some((run) => get(run) !== undefined));
  const study = groupOf.study;
  const first = study ? [["study", (run) => study.names[study.at[run]]]] : [];
  const all = [...first, ...used.map(({ key, get }) => [key, get])];
  return csv([all.map(([title]) => title), ...runs.map((run) => all.map(([, get]) => get(run)))]);
}
/** The rows as they were, without what is null or empty. */
function runRow(run) {
  const row = {};
  for (const { path, get } of columns) {
    const value = get(run);
    if (value === undefined) continue;
    // Maps, as a row may have a key such as __proto__.
    let place = row;
    for (const key of path.slice(0, -1))
      place = Object.hasOwn(place, key) ? place[key]
        : (Object.defineProperty(place, key, { value: {}, enumerable: true }), place[key]);
    Object.defineProperty(place, path.at(-1), { value, enumerable: true });
  }
  return row;
}
const runsJson = (runs) => JSON.stringify(runs.map(runRow), null, 1);
function buildDownloads() {
  byId("save-csv").addEventListener("click", () => save("runs.csv", "text/csv", runsCsv(chosen)));
  byId("save-json").addEventListener("click", () =>
    save("runs.json", "application/json", runsJson(chosen)));
}

/** Buttons at a section's head; `lines()` for CSV, `chart` or `canvas()` for PNG. */
function tools(section, lines, canvases = {}) {
  const place = byId(section).querySelector(".head .tools");
  const add = (title, what, act) => {
    const button = element("button", { type: "button", title: `Download ${what}` }, title);
    button.addEventListener("click", act);
    place.append(button);
  };
  add("CSV", "as CSV", () => saveCsv(section, lines()));
  for (const [name, canvas] of Object.entries(canvases))
    add("PNG" + (name === section ? "" : ` ${name}`), "as a picture",
      () => canvas().toBlob((blob) => save(name + ".png", "image/png", blob)));
}
