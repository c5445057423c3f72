// ---- what a chart draws on its canvas: axes, bands, stairs and marks ----
const polygon = (corners, start) => Array.from({ length: corners }, (_, i) => {
  const turn = start + 2 * Math.PI * i / corners;
  return [Math.sin(turn), -Math.cos(turn)];
});
const cross = [[-.4, -1], [.4, -1], [.4, -.4], [1, -.4], [1, .4], [.4, .4], [.4, 1], [-.4, 1],
  [-.4, .4], [-1, .4], [-1, -.4], [-.4, -.4]];
// Matplotlib's letters.
const OUTLINES = { "^": polygon(3, 0), v: polygon(3, Math.PI), D: polygon(4, 0),
  s: polygon(4, Math.PI / 4), P: cross, X: cross.map(([x, y]) => [(x - y) * .75, (x + y) * .75]) };
function outline(shape, x, y, r) {
  const path = new Path2D(), corners = OUTLINES[shape];
  if (!corners) path.arc(x, y, r * .9, 0, 2 * Math.PI);
  const scale = r * (shape === "^" || shape === "v" || shape === "s" ? 1.15 : 1);
  corners?.forEach(([dx, dy], i) => path[i ? "lineTo" : "moveTo"](x + dx * scale, y + dy * scale));
  path.closePath();
  return path;
}
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function ticksOf(low, high, log, room) {
  const found = [];
  if (log) {
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const m of [1, 2, 5]) found.push(m * 10 ** e);
    const kept = found.filter((v) => v >= low && v <= high);
    return kept.length > room ? kept.filter((v) => /^1/.test(v.toExponential())) : kept;
  }
  const raw = (high - low) / room, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * (1 - 1e-9)) ?? raw;
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-12); i++) found.push(i * step);
  return found;
}
function spanOf(values, log) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  if (log) {
    const room = Math.max((high / low) ** .05, 1.1);
    return [low / room, high * room];
  }
  const room = (high - low || Math.abs(high) * .02 || .02) * .07;
  return [low - room, high + room];
}

/** Draws `spec` (see Chart.show) on `canvas`, and what is pointed at on `over`. */
class Plot {
  size() {
    const width = this.holder.clientWidth;
    const height = Math.round(Math.min(this.most, Math.max(280, width * .56)));
    const dots = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = width * dots;
      canvas.height = height * dots;
      canvas.style.height = height + "px";
      canvas.getContext("2d").setTransform(dots, 0, 0, dots, 0, 0);
    }
    return [width, height];
  }

  draw() {
    const { spec } = this, { x: X, y: Y, bands = [], stairs = [], marks = [] } = spec;
    const all = [...marks, ...stairs.flatMap(({ steps }) => steps),
      ...bands.flatMap(({ low, high }) => [...low, ...high])];
    this.empty.hidden = all.length > 0;
    this.empty.textContent = spec.empty ?? "No run shown has these figures.";
    const [width, height] = this.size();
    this.marks = [];
    if (!all.length || !width) return this.name(0);
    const pen = this.canvas.getContext("2d");
    this.ink = Object.fromEntries(["ground", "ink", "soft", "line", "grid", "accent"]
      .map((name) => [name, css("--" + name)]));
    pen.fillStyle = this.ink.ground;
    pen.fillRect(0, 0, width, height);
    const spread = ({ y, spread: s = 0 }) => [y - s, y + s];
    const spanX = X.span ?? spanOf(all.map(({ x }) => x), X.log);
    const floor = spec.floor ?? -Infinity;
    const heights = all.flatMap(spread).filter((v) => v >= floor);
    const spanY = spanOf(spec.level === undefined ? heights : [...heights, spec.level]);
    const frame = this.frame(pen, X, Y, spanX, spanY, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(frame.left, frame.top - 8, width - frame.left - frame.right + 8, frame.bottom - frame.top + 16);
    pen.clip();
    if (spec.level !== undefined)
      this.path(pen, [[frame.left, frame.py(spec.level)], [width, frame.py(spec.level)]], { colour: this.ink.soft, dash: [4, 4] });
    if (spec.diagonal) this.diagonal(pen, frame, spanX, spanY);
    for (const band of bands) this.band(pen, frame, band, spanX[1]);
    for (const stair of stairs) this.stair(pen, frame, stair, spanX[1]);
    this.marks = marks.filter(({ y }) => y >= floor).map((one) => ({ ...one, px: frame.px(one.x), py: frame.py(one.y) }))
      .sort((a, b) => a.x - b.x || a.y - b.y);
    for (const dim of [true, false])
      for (const one of this.marks) if (!!one.dim === dim) this.mark(pen, frame, one);
    pen.restore();
    this.name(this.marks.length);
  }
  name(count) {
    this.canvas.setAttribute("aria-label", `${this.label}, ${count} marks. ${this.spec.y.label} against `
      + `${this.spec.x.label}. Arrow keys move between marks, Enter holds one.`);
  }

  frame(pen, X, Y, [x0, x1], [y0, y1], width, height) {
    pen.font = `12px ${css("--font")}`;
    const yTicks = ticksOf(y0, y1, false, Math.max(2, Math.floor(height / 62)));
    const wide = Math.max(...yTicks.map((v) => pen.measureText(Y.tick(v)).width), 20);
    const left = Math.ceil(wide) + 14, right = 14, top = 26, bottom = height - 44;
    const along = X.log ? Math.log : (v) => v;
    const px = (v) => left + (along(v) - along(x0)) / (along(x1) - along(x0)) * (width - left - right);
    const py = (v) => bottom - (v - y0) / (y1 - y0) * (bottom - top);
    pen.textAlign = "center";
    const { soft, grid } = this.ink;
    const xTicks = X.ticks ?? ticksOf(x0, x1, X.log, Math.floor((width - left) / 58));
    let edge = -Infinity;
    for (const v of xTicks) {
      this.path(pen, [[px(v), top], [px(v), bottom]], { colour: grid });
      const text = X.tick(v), half = pen.measureText(text).width / 2;
      if (px(v) - half < edge + 6) continue;
      edge = px(v) + half;
      pen.fillStyle = soft;
      pen.fillText(text, px(v), bottom + 18);
    }
    pen.textAlign = "right";
    for (const v of yTicks) {
      this.path(pen, [[left, py(v)], [width - right, py(v)]], { colour: grid });
      pen.fillStyle = soft;
      pen.fillText(Y.tick(v), left - 8, py(v) + 4);
    }
    this.path(pen, [[left, top], [left, bottom], [width - right, bottom]], { colour: this.ink.line });
    pen.textAlign = "left";
    pen.fillText(Y.label, 0, 12, width);
    pen.textAlign = "right";
    pen.fillText(X.label + (X.log ? " (log)" : ""), width - right, height - 6, width - right);
    return { left, right, top, bottom, px, py };
  }

  path(pen, points, { colour, width = 1, dash = [], alpha = 1 }) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.setLineDash(dash);
    pen.beginPath();
    points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x, y));
    pen.stroke();
    pen.globalAlpha = 1;
    pen.setLineDash([]);
  }
  corners({ px, py }, steps, end) {
    const found = [];
    steps.forEach(({ x, y }, i) => {
      if (i) found.push([px(x), py(steps[i - 1].y)]);
      found.push([px(x), py(y)]);
    });
    if (end !== undefined && steps.length) found.push([px(end), py(steps.at(-1).y)]);
    return found;
  }
  stair(pen, frame, stair, most) {
    if (stair.steps.length) this.path(pen, this.corners(frame, stair.steps, stair.open ? most : undefined), stair);
  }
  band(pen, frame, { low, high, colour }, end) {
    if (!low.length) return;
    const first = low[0].x, start = high.findLast(({ x }) => x <= first) ?? high[0];
    const above = [{ x: first, y: start.y }, ...high.filter(({ x }) => x > first)];
    const edge = [...this.corners(frame, above, end), ...this.corners(frame, low, end).reverse()];
    pen.globalAlpha = .18;
    pen.fillStyle = colour;
    pen.beginPath();
    edge.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x, y));
    pen.fill();
    pen.globalAlpha = 1;
  }
  diagonal(pen, { px, py }, [x0, x1], [y0, y1]) {
    const low = Math.max(x0, y0), high = Math.min(x1, y1);
    if (low < high) this.path(pen, [[px(low), py(low)], [px(high), py(high)]], { colour: this.ink.soft, dash: [4, 4] });
  }
  mark(pen, { py }, { px: x, py: y, spread, y: value, colour, shape, dim, ring, small }) {
    if (spread && !dim) this.path(pen, [[x, py(value - spread)], [x, py(value + spread)]], { colour, width: 1.4 });
    pen.globalAlpha = dim ? .3 : 1;
    pen.drawImage(this.stamp(colour, shape, small ? 4 : 6), x - 10, y - 10, 20, 20);
    pen.globalAlpha = 1;
    if (!ring) return;
    pen.strokeStyle = this.ink.ink;
    pen.lineWidth = 1.3;
    pen.beginPath();
    pen.arc(x, y, 9.5, 0, 2 * Math.PI);
    pen.stroke();
  }
  /** A mark drawn once, to be stamped thousands of times. */
  stamp(colour, shape, r) {
    const key = [colour, shape, r, this.ink.ground].join();
    this.stamps ??= new Map();
    if (!this.stamps.has(key)) {
      const dots = devicePixelRatio || 1, made = element("canvas", { width: 20 * dots, height: 20 * dots });
      const pen = made.getContext("2d"), path = outline(shape, 10, 10, r);
      pen.scale(dots, dots);
      pen.fillStyle = colour;
      pen.strokeStyle = this.ink.ground;
      pen.lineWidth = 1.2;
      pen.fill(path);
      pen.stroke(path);
      this.stamps.set(key, made);
    }
    return this.stamps.get(key);
  }
  overlay() {
    const pen = this.over.getContext("2d");
    pen.clearRect(0, 0, this.over.width, this.over.height);
    const at = this.marks[this.at];
    if (!at) return;
    pen.strokeStyle = this.ink.accent;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(at.px, at.py, 12, 0, 2 * Math.PI);
    pen.stroke();
    pen.fillStyle = at.colour;
    pen.fill(outline(at.shape, at.px, at.py, 6));
  }
}
