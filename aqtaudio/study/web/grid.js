// ---- a table of thousands of lines: only those in sight are in the document ----
const LINE_PX = 30;

class Grid {
  /** onPick(item): a click or Enter on a line. */
  constructor(holder, name, onPick) {
    Object.assign(this, { holder, onPick, items: [], order: [], at: -1, sort: null, down: false });
    this.head = element("tr");
    this.body = element("tbody");
    this.widths = element("colgroup");
    this.table = element("table", { role: "grid" }, this.widths, element("thead", {}, this.head), this.body);
    this.holder.append(this.table);
    holder.tabIndex = 0;
    holder.setAttribute("role", "region");
    holder.setAttribute("aria-label", name);
    let waiting = false;
    holder.addEventListener("scroll", () => {
      if (!waiting) requestAnimationFrame(() => { waiting = false; this.fill(); });
      waiting = true;
    });
    holder.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest("tr[data-at]");
      if (!line || event.target.closest("a")) return;
      this.at = +line.dataset.at;
      this.fill();
      this.onPick(this.items[this.order[this.at]]);
    });
  }

  /**
   * columns: [{key, title, numeric, order(item), text(item), hint(item), link(item), colour(item)}], the
   * last three if any; marked(item): lines that stand out.
   */
  show(columns, items, marked = () => false) {
    const chosen = this.items[this.order[this.at]]?.run;
    Object.assign(this, { columns, items, marked });
    if (!columns.some(({ key }) => key === this.sort)) this.sort = null;
    this.titles();
    this.arrange();
    this.at = chosen === undefined ? -1 : this.order.findIndex((i) => items[i].run === chosen);
    this.measure();
    this.fill(true);
  }

  titles() {
    this.head.replaceChildren(...this.columns.map((column) => {
      const button = element("button", { type: "button" }, column.title);
      button.addEventListener("click", () => {
        this.down = this.sort === column.key ? !this.down : false;
        this.sort = column.key;
        this.arrange();
        this.at = -1;
        this.titles();
        this.head.children[this.columns.indexOf(column)].firstChild.focus();
        this.holder.scrollTop = 0;
        this.fill(true);
      });
      const title = element("th", { className: column.numeric ? "n" : "", scope: "col" }, button);
      if (this.sort === column.key) title.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      return title;
    }));
  }

  arrange() {
    this.order = [...this.items.keys()];
    const column = this.columns.find(({ key }) => key === this.sort);
    if (!column) return;
    const keys = this.items.map((item) => column.order(item)), sign = this.down ? -1 : 1;
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    this.order.sort((a, b) => {
      const x = keys[a], y = keys[b];
      // What is missing stays last, whichever way.
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (typeof x === "number" && typeof y === "number" ? x - y : compare(x, y));
    });
  }

  measure() {
    const step = Math.max(1, Math.floor(this.items.length / 120));
    const some = this.items.filter((_, i) => i % step === 0);
    const columns = this.columns.map(({ title, text, colour }, i) => {
      const longest = Math.max(title.length + 2, ...some.map((item) => (text(item) ?? "").length));
      return Math.min(longest + (colour ? 2 : 0), i ? 34 : 30);
    });
    this.widths.replaceChildren(...columns.map((size) => {
      const column = element("col");
      column.style.width = `calc(${size}ch + 1.5rem)`;
      return column;
    }));
    const total = columns.reduce((sum, size) => sum + size, 0);
    this.table.style.width = `calc(${total}ch + ${1.5 * columns.length}rem)`;
    this.holder.style.height = Math.min(this.items.length + 1, 18) * LINE_PX + 18 + "px";
    this.table.setAttribute("aria-rowcount", this.items.length + 1);
  }

  fill(fresh) {
    const { scrollTop, clientHeight } = this.holder, count = this.order.length;
    const first = Math.max(0, Math.floor(scrollTop / LINE_PX) - 8);
    const last = Math.min(count, Math.ceil((scrollTop + clientHeight) / LINE_PX) + 8);
    const seen = `${first} ${last} ${this.at}`;
    if (!fresh && seen === this.seen) return;
    this.seen = seen;
    const lines = [];
    for (let at = first; at < last; at++) lines.push(this.line(at));
    this.body.replaceChildren(this.room(first), ...lines, this.room(count - last));
  }
  room(lines) {
    const cell = element("td", { colSpan: this.columns.length, className: "room" });
    cell.style.height = lines * LINE_PX + "px";
    return element("tr", { "aria-hidden": "true", hidden: !lines }, cell);
  }

  line(at) {
    const item = this.items[this.order[at]];
    const line = element("tr", { "aria-rowindex": at + 2 });
    line.dataset.at = at;
    if (this.marked(item)) line.classList.add("front");
    if (at === this.at) {
      line.classList.add("found");
      line.setAttribute("aria-selected", "true");
    }
    for (const column of this.columns) {
      const text = column.text(item) ?? "–", link = column.link?.(item), hint = column.hint?.(item);
      const cell = element("td", { className: column.numeric ? "n" : "", title: hint ?? "" });
      if (column.colour) {
        const dot = element("i", { className: "dot" });
        dot.style.background = column.colour(item);
        cell.append(dot);
      }
      cell.append(link ? element("a", { href: link }, text) : text);
      line.append(cell);
    }
    return line;
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    const { key, target } = event;
    if (target !== this.holder || !this.order.length) return;
    if (key in steps) {
      event.preventDefault();
      this.select(Math.max(0, Math.min(this.order.length - 1, this.at + steps[key])));
    } else if (key === "Enter" && this.at >= 0) {
      this.onPick(this.items[this.order[this.at]]);
    }
  }
  select(at) {
    this.at = at;
    const top = at * LINE_PX, room = this.holder.clientHeight - 3 * LINE_PX;
    if (top < this.holder.scrollTop || top > this.holder.scrollTop + room)
      this.holder.scrollTop = Math.max(0, top - room / 2);
    this.fill(true);
  }
  /** Goes to the line of an item, if it is there. */
  reveal(matches) {
    const at = this.order.findIndex((i) => matches(this.items[i]));
    if (at >= 0) this.select(at);
    return at >= 0;
  }
  /** Everything as text, in the order shown. */
  lines() {
    return [this.columns.map(({ title }) => title), ...this.order.map((i) =>
      this.columns.map(({ order }) => order(this.items[i])))];
  }
}
