// ---- fronts, hypervolume, attainment: items have x (a cost), y (a quality); sense 1: more is better ----

/** The items that none dominates, by cost; of equals the first. */
function front(items, sense = 1) {
  let best = -Infinity;
  return [...items].sort((a, b) => a.x - b.x || sense * (b.y - a.y))
    .filter(({ y }) => sense * y > best && ((best = sense * y), true));
}

/** Area that the items dominate, above the reference: quality times octaves of cost. */
function hypervolume(items, { x: most, y: worst }, sense = 1) {
  let area = 0, level = sense * worst;
  for (const { x, y } of front(items, sense)) {
    if (x >= most || sense * y <= level) continue;
    area += (sense * y - level) * Math.log2(most / x);
    level = sense * y;
  }
  return area;
}

/** The corners of the front that at least `wanted` of the sets of items reach. */
function attained(sets, wanted, sense = 1) {
  const all = sets.flatMap((items, set) => items.map(({ x, y }) => ({ x, y: sense * y, set })));
  all.sort((a, b) => a.x - b.x);
  const best = sets.map(() => -Infinity), corners = [];
  let level = -Infinity;
  all.forEach(({ x, y, set }, i) => {
    best[set] = Math.max(best[set], y);
    if (all[i + 1]?.x === x) return;
    const reached = [...best].sort((a, b) => b - a)[wanted - 1];
    if (reached > level) corners.push({ x, y: sense * (level = reached) });
  });
  return corners;
}

/** The two or more seeds that most settings have; of equals the most seeds. */
function sharedSeeds(settings) {
  const candidates = new Map(settings.filter((seeds) => seeds.size > 1)
    .map((seeds) => [[...seeds].sort().join(" "), seeds]));
  const ranked = [...candidates].map(([names, seeds]) => {
    const all = [...seeds];
    const covered = settings.filter((other) => all.every((seed) => other.has(seed))).length;
    return { all, covered, names };
  });
  ranked.sort((a, b) => b.covered - a.covered || b.all.length - a.all.length
    || (a.names < b.names ? -1 : 1));
  return ranked.length ? ranked[0].all : [];
}

/** Best, median (of three seeds or more) and worst front over the seeds of these points. */
function attainment(points, sense) {
  const seeds = sharedSeeds(points.map(({ runs }) => new Set(runs.map(({ seed }) => seed))));
  if (!seeds.length) return null;
  const complete = points.filter(({ runs }) =>
    seeds.every((seed) => runs.some((run) => run.seed === seed)));
  const sets = seeds.map((seed) => complete.flatMap(({ runs }) =>
    runs.filter((run) => run.seed === seed)));
  return {
    seeds: seeds.length, settings: complete.length,
    best: attained(sets, 1, sense),
    median: seeds.length > 2 ? attained(sets, Math.ceil(seeds.length / 2), sense) : null,
    worst: attained(sets, seeds.length, sense),
  };
}
