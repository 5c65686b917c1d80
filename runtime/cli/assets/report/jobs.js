// Owns: the table of jobs, of which only the rows in view exist.
// Does not know: what a filter means, what is shown of the selected job.

const ROW_HEIGHT = 28;
const OVERSCAN = 12;
const ROWS_VISIBLE_MAX = 18;
const PRINTED_ROWS_MAX = 500;

function numberColumn(key, title, width, format, note) {
  return {
    key,
    title,
    width,
    note,
    number: true,
    keys: (jobs) => jobs[key],
    cell: (model, i) => format(model.jobs[key][i]),
  };
}

const JOB_COLUMNS = [
  { key: "name", title: "Job", width: 230, keys: (jobs) => ranks(jobs.name), cell: (model, i) => jobLink(model, i) },
  {
    key: "family",
    title: "Family",
    width: 120,
    keys: (jobs, model) => ranks(Array.from(jobs.family, (family) => model.families[family])),
    cell: (model, i) => [
      swatch(jobFamily(model, i)),
      make("span", { class: "name" }, model.families[jobFamily(model, i)]),
    ],
  },
  {
    key: "status",
    title: "Status",
    width: 112,
    keys: (jobs) => jobs.status.map((status) => STATUSES.indexOf(status)),
    cell: (model, i) => statusBadge(model.jobs.status[i]),
  },
  {
    key: "why",
    title: "Why",
    width: 150,
    note: "why it was executed, or that it was not",
    keys: (jobs, model) => ranks(jobs.status.map((_, i) => whyOf(model, i))),
    cell: (model, i) => make("span", { title: whyOf(model, i) }, whyOf(model, i) || NOTHING),
  },
  numberColumn("start", "Start", 84, duration, "after the start of the run"),
  numberColumn("wall", "Wall time", 92, duration, "of the attempt; of cached jobs: what it took when it was executed"),
  numberColumn("cpu", "CPU time", 92, duration, "of the attempt; of cached jobs: what it took when it was executed"),
  numberColumn("wait", "Waited", 84, duration, "from its inputs being there until a worker took it"),
  numberColumn("slack", "Slack", 84, duration, "how much later it could have ended without making the run longer"),
  numberColumn("memory", "Memory", 88, bytes, "the most that it had at once"),
  numberColumn("read", "Read", 84, bytes),
  numberColumn("written", "Written", 84, bytes),
  {
    key: "worker",
    title: "Worker",
    width: 76,
    number: true,
    keys: (jobs) => Float64Array.from(jobs.worker, (w) => (w < 0 ? NaN : w)),
    cell: (model, i) => (model.jobs.worker[i] < 0 ? NOTHING : String(model.jobs.worker[i])),
  },
  numberColumn("attempts", "Attempts", 84, whole),
];

function jobFamily(model, i) {
  return model.jobs.family[i];
}

/** `-wall` is by wall time, the longest first. */
function parseSort(sort) {
  const descending = sort.startsWith("-");
  const column = JOB_COLUMNS.find(({ key }) => key === sort.replace(/^-/, ""));
  return { column, descending };
}

function orderedJobs(model) {
  const found = filterJobs(model, state.filter);
  const { column, descending } = parseSort(state.sort);
  if (!column) return found;
  model.sortKeys ??= new Map();
  if (!model.sortKeys.has(column.key)) model.sortKeys.set(column.key, column.keys(model.jobs, model));
  return sortJobs(found, model.sortKeys.get(column.key), descending);
}

/** The first press sorts in the way that is wanted more often: most first of numbers, A first of texts. */
function nextSort(column) {
  const current = parseSort(state.sort);
  const isSame = current.column === column;
  const descending = isSame ? !current.descending : column.number === true;
  return `${descending ? "-" : ""}${column.key}`;
}

function headCell(column) {
  const { column: by, descending } = parseSort(state.sort);
  const isBy = by === column;
  const arrow = isBy ? (descending ? " ▾" : " ▴") : "";
  return make(
    "th",
    {
      scope: "col",
      class: column.number ? "number" : null,
      "data-key": column.key,
      "aria-sort": isBy ? (descending ? "descending" : "ascending") : "none",
    },
    make(
      "button",
      { type: "button", title: column.note ?? null, onclick: () => setState({ sort: nextSort(column) }) },
      column.title + arrow,
    ),
  );
}

function jobRow(model, job, place) {
  const cells = JOB_COLUMNS.map((column) =>
    make("td", { class: column.number ? "number" : null }, column.cell(model, job)),
  );
  return make(
    "tr",
    {
      id: `job-row-${job}`,
      "data-job": job,
      "aria-rowindex": place + 2,
      "aria-selected": job === state.job ? "true" : "false",
      class: model.critical.on[job] ? "critical" : null,
    },
    cells,
  );
}

function spacer(rows) {
  return make("tr", { class: "spacer", "aria-hidden": "true", "--height": `${rows * ROW_HEIGHT}px` });
}

/** Paper has an end: it says how many rows are not on it. */
function restRow(count) {
  return make("tr", null, make("td", { colspan: JOB_COLUMNS.length }, `… ${whole(count)} more`));
}

/** Keeps in the table the rows that `scroller` shows, and a few more on both sides. */
function makeRows(model, scroller, body) {
  const rows = { jobs: [], first: -1, last: -1, all: false };
  rows.render = (force) => {
    const top = Math.floor(scroller.scrollTop / ROW_HEIGHT);
    const visible = Math.max(ROWS_VISIBLE_MAX, Math.ceil(scroller.clientHeight / ROW_HEIGHT));
    if (!force && top >= rows.first && top + visible <= rows.last) return;
    const first = rows.all ? 0 : Math.max(0, top - OVERSCAN);
    const last = Math.min(rows.jobs.length, rows.all ? PRINTED_ROWS_MAX : top + visible + OVERSCAN);
    const isEnd = last === rows.jobs.length;
    rows.first = first === 0 ? -1 : first;
    rows.last = isEnd ? Infinity : last;
    body.replaceChildren(
      spacer(first),
      ...rows.jobs.slice(first, last).map((job, k) => jobRow(model, job, first + k)),
      rows.all && !isEnd ? restRow(rows.jobs.length - last) : spacer(rows.jobs.length - last),
    );
  };
  rows.reveal = (job) => {
    const place = rows.jobs.indexOf(job);
    if (place < 0) return;
    const top = place * ROW_HEIGHT;
    const room = scroller.clientHeight - 2 * ROW_HEIGHT;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room / 2;
  };
  return rows;
}

/** Up and down go through the jobs as they are filtered and sorted. */
function stepThroughJobs(rows, event) {
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: ROWS_VISIBLE_MAX - 2, PageUp: 2 - ROWS_VISIBLE_MAX };
  const step = steps[event.key];
  if (!step || rows.jobs.length === 0 || event.target.closest("thead")) return;
  event.preventDefault();
  const at = rows.jobs.indexOf(state.job);
  const next = at < 0 ? 0 : Math.max(0, Math.min(rows.jobs.length - 1, at + step));
  setState({ job: rows.jobs[next] });
}

function filterBox() {
  let pause = 0;
  const input = make("input", {
    type: "search",
    id: "filter",
    spellcheck: "false",
    autocomplete: "off",
    value: state.filter,
    placeholder: "name, or status:failed family:scan cached:yes why:module worker:3 critical:yes",
    "aria-label": "Filter the jobs by name, or by status:, family:, cached:, why:, worker:, critical:",
    oninput: () => {
      clearTimeout(pause);
      pause = setTimeout(() => setState({ filter: input.value }), 90);
    },
  });
  return input;
}

function jobsTable(head, body) {
  const columns = JOB_COLUMNS.map(({ width }) => make("col", { "--width": `${width}px` }));
  const width = JOB_COLUMNS.reduce((sum, column) => sum + column.width, 0);
  return make(
    "table",
    { class: "jobs", "--width": `${width}px`, "aria-label": "Jobs" },
    make("colgroup", null, columns),
    make("thead", null, head),
    body,
  );
}

function listenToTable(rows, scroller, body) {
  scroller.addEventListener("scroll", () => rows.render(false), { passive: true });
  scroller.addEventListener("keydown", (event) => stepThroughJobs(rows, event));
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-job]");
    if (row && !event.defaultPrevented) setState({ job: Number(row.dataset.job) });
  });
}

function jobsSection(model) {
  if (model.jobs.n === 0)
    return { id: "jobs", title: "Jobs", body: [make("p", { class: "muted" }, "The run had no jobs.")] };
  const input = filterBox();
  const count = make("span", { class: "muted", role: "status" });
  const head = make("tr", { "aria-rowindex": "1" });
  const body = make("tbody");
  const table = jobsTable(head, body);
  const scroller = make(
    "div",
    { class: "rows", tabindex: "0", role: "region", "aria-label": "Jobs; up and down select" },
    table,
  );
  const rows = makeRows(model, scroller, body);
  const refresh = () => {
    rows.jobs = orderedJobs(model);
    head.replaceChildren(...JOB_COLUMNS.map(headCell));
    table.setAttribute("aria-rowcount", String(rows.jobs.length + 1));
    count.textContent = state.filter
      ? `${whole(rows.jobs.length)} of ${plural(model.jobs.n, "job")}`
      : plural(model.jobs.n, "job");
    rows.render(true);
  };
  const mounted = () => {
    listenToTable(rows, scroller, body);
    refresh();
    rows.reveal(state.job);
    onChange((old) => {
      if ("filter" in old && input.value !== state.filter) input.value = state.filter;
      const focused = document.activeElement?.closest?.("th")?.dataset.key;
      if ("filter" in old) scroller.scrollTop = 0;
      if ("filter" in old || "sort" in old) refresh();
      else if ("job" in old) rows.render(true);
      if ("job" in old) rows.reveal(state.job);
      if (focused) head.querySelector(`[data-key="${focused}"] button`).focus();
    });
  };
  const printing = (is) => {
    rows.all = is;
    rows.render(true);
  };
  const clear = button("Clear", "Show all jobs", () => setState({ filter: "", sort: "" }));
  return {
    id: "jobs",
    title: "Jobs",
    body: [make("div", { class: "tools" }, input, clear, count), scroller],
    mounted,
    printing,
  };
}
