// The figures and the searchable tables of the page. All texts are shown by textContent.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 50; // rows drawn at a time
  const LONG = 220; // characters of a cell before "show all"
  const THREE = { minimumFractionDigits: 3, maximumFractionDigits: 3 };
  const SIGNED = { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" };
  const collator = new Intl.Collator(undefined, { numeric: true });

  function make(tag, parent, properties = {}, attributes = {}) {
    const found = Object.assign(document.createElement(tag), properties);
    for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    if (parent) parent.append(found);
    return found;
  }

  // Figures: drawn when they come into view. Their colours are CSS variables, so light and dark need no redraw.
  const options = {
    ast: true, // the expression interpreter: nothing is compiled from text, as the page's policy demands
    renderer: "svg",
    actions: false,
    config: data.config,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };

  function draw(element) {
    watcher.unobserve(element);
    return vegaEmbed(element, data.figures[element.dataset.figure], options).then(
      () => {
        element.style.minHeight = "";
        element.dataset.drawn = "yes";
      },
      (error) => {
        element.textContent = `This figure could not be drawn (${error.message}); its numbers are in the table below.`;
        element.dataset.drawn = "no";
      },
    );
  }

  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "300px" },
  );
  for (const element of document.querySelectorAll("[data-figure]")) {
    const { height } = data.figures[element.dataset.figure];
    if (height !== "container") element.style.minHeight = `${height}px`;
    watcher.observe(element);
  }
  addEventListener("beforeprint", () => {
    for (const element of document.querySelectorAll("[data-figure]:not([data-drawn])")) {
      element.closest("figure").querySelector("details").open = true; // its numbers, if it is not drawn in time
      draw(element);
    }
  });

  // The section that is read now, in the list of sections.
  const links = new Map(
    [...document.querySelectorAll("nav[aria-label=Sections] a")].map((link) => [link.hash.slice(1), link]),
  );
  const reader = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-15% 0px -75%" },
  );
  links.forEach((_, id) => reader.observe(document.getElementById(id)));

  // Tables. A column has a name and may have: width; number; signed: a number with its sign; filter: choose a value; beside:
  // the column whose common words are marked; note: the column shown below it; hidden. A cell is text, a number, null or {text, of}.
  const textOf = (cell) => (cell === null ? "" : typeof cell === "object" ? cell.text : String(cell));

  function words(text) {
    return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || []);
  }

  function marked(parent, text, common) {
    for (const part of text.split(/([\p{L}\p{N}]+)/u)) {
      if (common.has(part.toLowerCase())) make("mark", parent, { textContent: part });
      else parent.append(part);
    }
  }

  function fill(parent, cell, column, id, other) {
    if (cell === null || cell === "") {
      make("span", parent, { className: "none", textContent: cell === null ? "–" : "(empty)" });
      return;
    }
    if (typeof cell === "number") {
      const form = column.signed ? SIGNED : Number.isInteger(cell) ? {} : THREE;
      parent.append(cell.toLocaleString("en", form));
      return;
    }
    const text = textOf(cell);
    const box = make("div", parent, { className: "cell", dir: "auto" });
    const common = other === null || other === undefined ? null : words(textOf(other).slice(0, 5000));
    const put = (shown) => (common ? marked(box, shown, common) : (box.textContent = shown));
    put(text.length > LONG ? `${text.slice(0, LONG - 40)}…` : text);
    if (text.length <= LONG) return;
    const whole = cell.of || text.length;
    const more = make("button", parent, { type: "button", className: "more" }, { "aria-expanded": "false" });
    const say = (open) => (more.textContent = open ? "show less" : `show all ${whole.toLocaleString("en")} characters`);
    say(false);
    more.addEventListener("click", () => {
      const open = more.getAttribute("aria-expanded") === "false";
      more.setAttribute("aria-expanded", String(open));
      box.replaceChildren();
      put(open ? text : `${text.slice(0, LONG - 40)}…`);
      if (open && cell.of) {
        const cut = `The page has the first ${text.length.toLocaleString("en")} of ${whole.toLocaleString("en")} characters; all of them: `;
        const line = make("span", box, { className: "cutoff", textContent: cut });
        const own = table(parent);
        make("code", line, { textContent: own.folder ? `selfinstruct show ${own.folder} ${id}` : own.file });
      }
      say(open);
    });
  }

  const isFigure = (column) => column.number && Boolean(column.width);
  const table = (element) => data.tables[element.closest("[data-table]").dataset.table];

  function browse(root) {
    const found = data.tables[root.dataset.table];
    const label = root.dataset.label;
    const state = { page: 0, sort: -1, down: false, words: [], filters: new Map() };
    const haystack = found.rows.map(() => null);
    let shown = found.rows.map((_, place) => place);

    const tools = make("div", root, { className: "tools" }, { role: "search", "aria-label": `Search the ${label}` });
    const find = make("label", tools, { className: "find", textContent: `Search the ${label}` });
    const input = make("input", find, { type: "search", autocomplete: "off", spellcheck: false });
    found.columns.forEach((column, place) => {
      if (column.filter) choose(column, place);
    });
    const sorting = make("label", tools, { className: "sorting", textContent: "Sort by" });
    const sorter = make("select", sorting);
    make("option", sorter, { textContent: "as made", value: "-1" });
    found.columns.forEach((column, place) => {
      make("option", sorter, { textContent: `${column.name} ↑`, value: `${place}` });
      make("option", sorter, { textContent: `${column.name} ↓`, value: `${place} down` });
    });
    const count = make("p", root, { className: "count" }, { role: "status" });
    const grid = make("table", root, { className: "rows" }, { role: "table", "aria-label": label });
    const head = make("tr", make("thead", grid, {}, { role: "rowgroup" }), {}, { role: "row" });
    const visible = found.columns.map((_, place) => place).filter((place) => !found.columns[place].hidden);
    const heads = new Map();
    for (const place of visible) {
      const column = found.columns[place];
      const width = `${column.width || ""} ${isFigure(column) ? "figure" : ""}`.trim();
      const cell = make("th", head, { scope: "col", className: width }, { role: "columnheader" });
      const button = make("button", cell, { type: "button" });
      column.name.split(/(?<=_)/).forEach((part) => button.append(part, document.createElement("wbr")));
      button.addEventListener("click", () => order(place, state.sort === place && !state.down));
      heads.set(place, cell);
    }
    const body = make("tbody", grid, {}, { role: "rowgroup" });
    const pages = make("div", root, { className: "pages" }, { role: "group", "aria-label": `Pages of the ${label}` });
    const back = make("button", pages, { type: "button", textContent: "← Previous" });
    const where = make("span", pages);
    const next = make("button", pages, { type: "button", textContent: "Next →" });

    function choose(column, place) {
      const counts = new Map();
      for (const row of found.rows) counts.set(textOf(row[place]), (counts.get(textOf(row[place])) || 0) + 1);
      const values = [...counts].sort((a, b) => b[1] - a[1]);
      if (values.length < 2 || values.length > 60) return;
      const select = make("select", make("label", tools, { textContent: column.name }));
      make("option", select, { value: "", textContent: "all" });
      values.forEach(([value, number], index) => {
        make("option", select, { value: `${index}`, textContent: `${value || "(empty)"} (${number.toLocaleString("en")})` });
      });
      select.addEventListener("change", () => {
        if (select.value === "") state.filters.delete(place);
        else state.filters.set(place, values[Number(select.value)][0]);
        narrow();
      });
    }

    function text(place) {
      haystack[place] ??= found.rows[place].map(textOf).join("\n").toLowerCase();
      return haystack[place];
    }

    function fits(place) {
      for (const [column, value] of state.filters) if (textOf(found.rows[place][column]) !== value) return false;
      return state.words.every((word) => text(place).includes(word));
    }

    function narrow() {
      state.words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      shown = found.rows.map((_, place) => place).filter(fits);
      if (state.sort >= 0) shown.sort(compare);
      state.page = 0;
      show();
    }

    function compare(one, other) {
      const [a, b] = [found.rows[one][state.sort], found.rows[other][state.sort]];
      if (a === null || b === null) return (a === null) - (b === null); // those without a value are last
      const both = typeof a === "number" && typeof b === "number";
      return (both ? a - b : collator.compare(textOf(a), textOf(b))) * (state.down ? -1 : 1);
    }

    function order(place, down) {
      Object.assign(state, { sort: place, down });
      heads.forEach((cell, index) => {
        if (index === place) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      });
      sorter.value = place < 0 ? "-1" : `${place}${down ? " down" : ""}`;
      narrow();
    }

    function show() {
      const first = state.page * PAGE;
      const rows = shown.slice(first, first + PAGE);
      const most = Math.max(1, Math.ceil(shown.length / PAGE));
      body.replaceChildren(...rows.map(rowOf));
      const total = found.total > found.rows.length ? `, of the ${found.rows.length.toLocaleString("en")} that are here` : "";
      count.textContent = shown.length
        ? `${(first + 1).toLocaleString("en")} to ${(first + rows.length).toLocaleString("en")} of ${shown.length.toLocaleString("en")} ${label}${total}`
        : `No ${label} match${total}`;
      where.textContent = `page ${(state.page + 1).toLocaleString("en")} of ${most.toLocaleString("en")}`;
      back.disabled = state.page === 0;
      next.disabled = state.page >= most - 1;
    }

    function rowOf(place) {
      const line = make("tr", null, {}, { role: "row" });
      const row = found.rows[place];
      for (const index of visible) {
        const [cell, column] = [row[index], found.columns[index]];
        const first = index === visible[0];
        const box = make(first ? "th" : "td", line, {}, { role: first ? "rowheader" : "cell", "data-name": column.name });
        if (first) box.scope = "row";
        if (isFigure(column)) box.classList.add("figure");
        if (cell === null) box.classList.add("absent"); // not shown on a narrow screen
        fill(box, cell, column, textOf(row[0]), column.beside === undefined ? null : row[column.beside]);
        if (column.note !== undefined && row[column.note] !== null) make("small", box, { textContent: textOf(row[column.note]) });
      }
      return line;
    }

    function turn(by) {
      state.page += by;
      show();
      root.scrollIntoView({ block: "start" });
    }

    let waiting = 0;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(narrow, 60);
    });
    sorter.addEventListener("change", () => {
      const [place, down] = sorter.value.split(" ");
      order(Number(place), Boolean(down));
    });
    // A link to a row of this table elsewhere on the page.
    for (const link of document.querySelectorAll(`a[href="#${root.dataset.table}"][data-find]`)) {
      link.addEventListener("click", () => {
        input.value = link.dataset.find;
        narrow();
      });
    }
    back.addEventListener("click", () => turn(-1));
    next.addEventListener("click", () => turn(1));
    show();
  }

  document.querySelectorAll("[data-table]").forEach((root) => {
    browse(root);
    root.dataset.ready = "yes";
  });
})();
