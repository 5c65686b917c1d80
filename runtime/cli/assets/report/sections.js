// Owns: what needs no drawing: the head of the page, advice, reasons, agreed times, the environment.
// Does not know: the timeline, the graph, the table of jobs.

const ADVICE_JOBS_MAX = 8;

function verdictBadge(run) {
  const word = run.success === null ? "Unknown" : run.success ? "Succeeded" : "Failed";
  const sign = run.success === null ? "?" : run.success ? "✓" : "✕";
  const kind = run.success === null ? "" : run.success ? "succeeded" : "failed";
  return make("span", { class: `verdict ${kind}` }, make("span", { class: "sign", "aria-hidden": "true" }, sign), word);
}

const THEMES = ["auto", "light", "dark"];

function themeButton(restyle) {
  const root = document.documentElement;
  const name = () => root.dataset.theme ?? "auto";
  const toggle = button(`Theme: ${name()}`, "Switch between the system's theme, light and dark", () => {
    const next = THEMES[(THEMES.indexOf(name()) + 1) % THEMES.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("wasmill-theme", next);
    } catch {
      // A page without storage forgets the choice, which is all.
    }
    toggle.textContent = `Theme: ${next}`;
    restyle();
  });
  return toggle;
}

/** Before anything is drawn, so that nothing flashes. */
function recallTheme() {
  try {
    const theme = localStorage.getItem("wasmill-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // See `themeButton`.
  }
}

function renderHead(model, restyle) {
  const { run } = model;
  const number = run.id === null ? null : make("span", { class: "muted" }, ` run ${run.id}`);
  document.title = `${run.plan || "wasmill"}${run.id === null ? "" : ` · run ${run.id}`}`;
  byId("top").replaceChildren(
    make(
      "div",
      { class: "headline" },
      make("h1", null, make("span", { class: "name" }, run.plan || "wasmill run"), number),
      verdictBadge(run),
      make("span", null, run.verdict),
      make("span", { class: "muted when" }, run.started),
      themeButton(restyle),
    ),
    make(
      "dl",
      { class: "tiles" },
      model.figures.map(({ name, value, note }) =>
        make(
          "div",
          { class: "tile" },
          make("dt", null, name),
          make("dd", null, value),
          note ? make("dd", { class: "note" }, note) : null,
        ),
      ),
    ),
  );
}

function renderNav(sections) {
  const links = sections.map(({ id, title }) =>
    make(
      "a",
      {
        href: `#${id}`,
        "data-section": id,
        onclick: (event) => followInPlace(event, { section: id }),
      },
      title,
    ),
  );
  byId("nav").replaceChildren(...links);
  document.querySelector("a.skip").addEventListener("click", (event) => followInPlace(event, { section: "jobs" }));
  const inView = new Set();
  const watcher = new IntersectionObserver(
    (changes) => {
      for (const change of changes) inView[change.isIntersecting ? "add" : "delete"](change.target.id);
      const current = sections.find(({ id }) => inView.has(id))?.id;
      for (const link of links) {
        if (link.dataset.section === current) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-60px 0px -60% 0px" },
  );
  for (const { id } of sections) watcher.observe(byId(id));
}

function adviceCard(model, one) {
  const links = one.jobs.slice(0, ADVICE_JOBS_MAX).map((job) => make("li", null, jobLink(model, job)));
  if (one.jobs.length > links.length)
    links.push(make("li", { class: "muted" }, `… ${whole(one.jobs.length - links.length)} more`));
  return make(
    "li",
    { class: "card" },
    make("h3", null, withCode(one.title)),
    one.figure ? make("p", { class: "figure" }, withCode(one.figure)) : null,
    one.change ? make("p", null, withCode(one.change)) : null,
    links.length > 0 ? make("ul", { class: "links inline" }, links) : null,
  );
}

function adviceSection(model) {
  if (model.jobs.n === 0) return null;
  const body =
    model.advice.length > 0
      ? make(
          "ol",
          { class: "cards" },
          model.advice.map((one) => adviceCard(model, one)),
        )
      : make("p", { class: "muted" }, "Nothing stands out that would make this run faster.");
  return { id: "advice", title: "Advice", body: [body] };
}

function countWhys(model) {
  const counts = new Map();
  const { jobs } = model;
  for (let i = 0; i < jobs.n; i++) if (jobs.why[i] >= 0) counts.set(jobs.why[i], (counts.get(jobs.why[i]) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([why, count]) => ({ text: model.whys[why], filter: `why:${quoted(model.whys[why])}`, count }));
}

function whySection(model) {
  const { jobs, run } = model;
  const cached = jobs.cached.reduce((sum, is) => sum + is, 0);
  const rows = countWhys(model);
  if (rows.length === 0 && cached === 0) return null;
  if (cached > 0) rows.push({ text: "cached: not executed", filter: "cached:yes", count: cached });
  const saved = run.savedUs > 0 ? `, which saved ${duration(run.savedUs)} of CPU time` : "";
  const note =
    cached === 0
      ? "No job came from the cache."
      : `${plural(cached, "job")} of ${whole(jobs.n)} came from the cache${saved}.`;
  const table = plainTable(
    "Why jobs were executed",
    [
      { title: "Reason", cell: (row) => filterLink(row.text, row.filter, { title: `Show these jobs: ${row.filter}` }) },
      { title: "Jobs", number: true, cell: (row) => whole(row.count) },
      {
        title: "Share of all",
        number: true,
        cell: (row) => [shareBar(row.count / jobs.n), percent(row.count / jobs.n)],
      },
    ],
    rows,
  );
  return { id: "why", title: "Why", body: [make("p", { class: "muted" }, note), table] };
}

function slaSection(model) {
  if (model.slas.length === 0) return null;
  const table = plainTable(
    "Times that jobs are to keep",
    [
      { title: "Job", cell: (sla) => jobLink(model, sla.job) },
      {
        title: "Verdict",
        cell: (sla) =>
          make(
            "span",
            { class: `status ${sla.met ? "succeeded" : "failed"}` },
            make("span", { class: "sign", "aria-hidden": "true" }, sla.met ? "✓" : "✕"),
            sla.met ? "met" : "missed",
          ),
      },
      { title: "Target", number: true, cell: (sla) => duration(sla.target_us) },
      { title: "Took", number: true, cell: (sla) => duration(sla.took_us) },
      {
        title: "Of the target",
        number: true,
        cell: (sla) => [shareBar(sla.took_us / sla.target_us), percent(sla.took_us / sla.target_us)],
      },
      { title: "Fails the run", cell: (sla) => (sla.critical ? "yes" : "no") },
    ],
    model.slas,
  );
  return { id: "slas", title: "SLAs", body: [table] };
}

function environmentSection(model) {
  if (model.environment.length === 0) return null;
  return { id: "environment", title: "Environment", body: [factList(model.environment)] };
}
