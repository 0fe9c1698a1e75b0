// The table of checked clips: sorted by a click on a header, a row opened by a click or by key.
"use strict";
studio.widgets.check = (element, props, trigger, watch) => {
  const { t, h, clock } = studio;
  const signed = (ms) => t("check.milliseconds", { count: (ms > 0 ? "+" : ms < 0 ? "−" : "") + Math.abs(ms) });
  // what a column is sorted by; null has no place in the order and comes last either way
  const columns = [
    { key: "picture" },
    { key: "name", by: (row) => row.name },
    { key: "verdict", by: (row) => row.rank },
    { key: "confidence", by: (row) => row.confidence, number: true },
    { key: "judge", by: (row) => row.judge ?? null },  // shown where there are two or more
    { key: "offset", by: (row) => row.offset, number: true, help: t("check.offset-help") },
    { key: "worst", by: (row) => row.worst, number: true },
    { key: "seconds", by: (row) => row.seconds, number: true },
    { key: "note" },
  ];
  const cells = {
    picture: (row) => {
      const source = props.thumbnails?.[row.id];
      return source ? h("img", { src: source, alt: "" }) : "";
    },
    name: (row) => h(
      "button",
      { type: "button", title: t("check.open", { name: row.name }), disabled: row.state === "waiting" },
      h("bdi", {}, row.name),
    ),
    verdict: (row) => h(
      "span", { class: `check-badge check-is-${row.level || row.state}` },
      row.verdict || t(`check.verdict-${row.state}`),
    ),
    confidence: (row) => row.confidence === null ? "" : row.confidence.toFixed(2),
    judge: (row) => row.judge || "",
    offset: (row) => row.offset === null ? "" : signed(row.offset),
    worst: (row) => row.worst === null ? "" : clock(row.worst).replace(/\.\d$/, ""),
    seconds: (row) => row.seconds === null ? "" : clock(row.seconds),
    note: (row) => row.note,
  };
  const inOrder = new Intl.Collator(studio.locale, { numeric: true }).compare;
  let sorted = { column: columns[2], falling: false };  // the worst first
  let judges = 0;  // whose numbers are in the table

  const summary = h("p", { class: "check-summary", role: "status" });
  const download = h("a", { class: "check-download", download: "lipsync-check.csv" }, t("check.download"));
  const body = h("tbody", { role: "rowgroup" });
  const head = h("tr", { role: "row" }, ...columns.map(makeHeader));
  const table = h(
    // the roles are told once more: as cards on a phone it would be no table to a screen reader
    "table", { role: "table", "aria-label": t("check.table") },
    h("thead", { role: "rowgroup" }, head), body,
  );
  const drawn = new Map();  // id -> <tr>; kept, so that focus and pictures stay
  element.classList.add("check");
  element.append(h("div", { class: "check-top" }, summary, download), h("div", { class: "check-rows" }, table));
  watch(["rows", "thumbnails", "summary", "csv", "value"], draw);
  draw();

  function makeHeader(column) {
    const title = t(`check.column-${column.key}`);
    const shown = column.by
      ? h("button", { type: "button", title: column.help || t("check.sort", { column: title }), onclick: () => sortBy(column) }, title)
      : h("span", {}, title);
    const header = h("th", { role: "columnheader", scope: "col", class: `check-${column.key}` }, shown);
    column.header = header;
    return header;
  }

  function sortBy(column) {
    sorted = { column, falling: sorted.column === column && !sorted.falling };
    draw();
  }

  function compare(one, other) {
    const [a, b] = [one, other].map(sorted.column.by);
    if (a === null || b === null) return (a === null) - (b === null) || byConfidence(one, other);
    // two judges count on two scales: the rows of each stay together
    if (sorted.column.key === "confidence" && one.judge !== other.judge) return inOrder(one.judge, other.judge);
    const order = typeof a === "string" ? inOrder(a, b) : a - b;
    return (sorted.falling ? -order : order) || byConfidence(one, other);
  }

  function byConfidence(one, other) {
    if (one.judge && other.judge && one.judge !== other.judge) return inOrder(one.judge, other.judge);
    return (one.confidence ?? Infinity) - (other.confidence ?? Infinity) || one.id - other.id;
  }

  function draw() {
    const rows = [...(props.rows || [])].sort(compare);
    judges = new Set(rows.map((row) => row.judge).filter(Boolean)).size;
    columns.find(({ key }) => key === "judge").header.hidden = judges < 2;
    element.hidden = rows.length === 0;
    summary.textContent = props.summary || "";
    for (const { header, by } of columns) {
      if (!by) continue;
      const way = sorted.falling ? "descending" : "ascending";
      header.setAttribute("aria-sort", by === sorted.column.by ? way : "none");
    }
    for (const id of drawn.keys()) {
      if (!rows.some((row) => row.id === id)) drawn.delete(id);
    }
    const focused = element.contains(document.activeElement) && document.activeElement;
    body.replaceChildren(...rows.map(drawRow));
    if (focused && focused.isConnected) focused.focus({ preventScroll: true });
    offerDownload();
  }

  function drawRow(row) {
    if (!drawn.has(row.id)) {
      drawn.set(row.id, h("tr", { role: "row", onclick: () => open(row.id) }));
    }
    const line = drawn.get(row.id);
    const told = JSON.stringify([row, props.thumbnails?.[row.id], judges]);
    if (line.told !== told) {
      line.told = told;
      line.className = `check-row check-${row.state}`;
      const hadFocus = line.contains(document.activeElement);
      const shown = columns.filter(({ header }) => !header.hidden);
      line.replaceChildren(...shown.map((column) => drawCell(column, row)));
      if (hadFocus) line.querySelector("button")?.focus({ preventScroll: true });
    }
    if (row.id === props.value) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
    return line;
  }

  function drawCell(column, row) {
    const content = cells[column.key](row);
    const isEmpty = content === null || content === "";
    return h(
      "td",
      {
        role: "cell",
        class: `check-${column.key}${column.number ? " check-number" : ""}${isEmpty ? " check-empty" : ""}`,
        "data-title": t(`check.column-${column.key}`),
      },
      isEmpty ? "–" : content,
    );
  }

  function open(id) {
    const row = (props.rows || []).find((row) => row.id === id);
    if (!row || row.state === "waiting") return;
    props.value = id;
    trigger("input");
    draw();
  }

  function offerDownload() {
    download.hidden = !props.csv;
    if (download.csv === props.csv) return;
    download.csv = props.csv;
    if (download.href) URL.revokeObjectURL(download.href);
    download.removeAttribute("href");
    // made in the browser, so that no file lies on the server for somebody to find
    if (props.csv) download.href = URL.createObjectURL(new Blob([props.csv], { type: "text/csv;charset=utf-8" }));
  }
};
