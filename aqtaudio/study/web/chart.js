// ---- a chart: pointer, touch and keys choose a mark ----
class Chart extends Plot {
  /** onShow(item): pointed at; onPick(item): clicked or Enter, null to let go. */
  constructor(holder, label, { onShow = () => {}, onPick = () => {}, height = 460 } = {}) {
    super();
    Object.assign(this, { holder, label, onShow, onPick, most: height, marks: [], at: -1 });
    this.canvas = element("canvas", { tabIndex: 0, role: "application" });
    this.over = element("canvas", { className: "over", "aria-hidden": "true" });
    this.empty = element("p", { className: "empty", hidden: true });
    holder.classList.add("chart");
    holder.append(this.canvas, this.over, this.empty);
    this.listen();
  }

  listen() {
    const { canvas } = this;
    const nearest = ({ offsetX, offsetY }, reach) => {
      let best = -1, least = reach ** 2;
      this.marks.forEach(({ px, py }, i) => {
        const distance = (px - offsetX) ** 2 + (py - offsetY) ** 2;
        if (distance <= least) { least = distance; best = i; }
      });
      return best;
    };
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse" || this.held) return;
      const found = nearest(event, 24);
      canvas.style.cursor = found < 0 ? "" : "pointer";
      if (found >= 0 && found !== this.at) this.point(found);
    });
    canvas.addEventListener("click", (event) => {
      const found = nearest(event, 32);
      this.held = found >= 0;
      if (found >= 0) this.point(found);
      this.onPick(this.marks[found]?.item ?? null);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => {
      if (this.at < 0 && this.marks.length && canvas.matches(":focus-visible")) this.point(0);
    });
  }

  key(event) {
    const last = this.marks.length - 1, { key } = event;
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10,
      Home: -Infinity, End: Infinity };
    if (last < 0) return;
    if (key in steps) {
      event.preventDefault();
      const next = this.at < 0 ? 0 : this.at + steps[key];
      this.held = true;
      this.point(Math.abs(steps[key]) === 1 ? (next + last + 1) % (last + 1)
        : Math.max(0, Math.min(last, next)));
    } else if (key === "Enter" && this.at >= 0) {
      event.preventDefault();
      this.onPick(this.marks[this.at].item, true);
    } else if (key === "Escape") {
      this.held = false;
      this.at = -1;
      this.overlay();
      this.onPick(null);
    }
  }

  point(index) {
    this.at = index;
    this.overlay();
    this.onShow(this.marks[index].item);
  }
  /** Points at the mark of an item, if it is there. */
  reveal(matches) {
    const found = this.marks.findIndex(({ item }) => matches(item));
    this.held = found >= 0;
    if (found >= 0) this.point(found);
    return found >= 0;
  }

  /**
   * spec: x, y {label, tick, log}, x with span and ticks where they are given; bands [{low, high,
   * colour}] and stairs [{steps, colour, width, dash, alpha, open}] of {x, y}; marks [{x, y, spread,
   * colour, shape, dim, ring, small, item}]; diagonal: where x equals y; level: a line at this y;
   * floor: marks below are left out.
   */
  show(spec) {
    this.spec = spec;
    const keep = this.marks[this.at]?.item.run;
    this.draw();
    this.at = keep === undefined ? -1 : this.marks.findIndex(({ item }) => item.run === keep);
    if (this.at < 0) this.held = false;
    this.overlay();
  }
}
const charts = [];
function redraw() {
  for (const chart of charts) if (chart.spec) chart.show(chart.spec);
}
// A phone resizes the window's height as its bars come and go: only the width matters.
let lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== lastWidth) redraw();
  lastWidth = innerWidth;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
