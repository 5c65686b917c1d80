// Owns: the critical path as a list, and what more or fewer workers would do.
// Does not know: how the path was found, the other jobs.

const STEPS_SHOWN_FIRST = 100;

function tookUs(jobs, job) {
  const span = jobs.end[job] - jobs.start[job];
  return span >= 0 ? span : jobs.wall[job];
}

function pathColumns(model) {
  const { jobs, critical } = model;
  const lengthUs = Number.isFinite(critical.lengthUs) ? critical.lengthUs : model.horizonUs;
  return [
    { title: "#", number: true, cell: (step) => String(step.place) },
    { title: "Job", cell: ({ job }) => [swatch(jobs.family[job]), jobLink(model, job)] },
    { title: "Start", number: true, note: "after the start of the run", cell: ({ job }) => duration(jobs.start[job]) },
    {
      title: "Waited",
      number: true,
      note: "from its inputs being there until a worker took it",
      cell: ({ job }) => duration(jobs.wait[job]),
    },
    { title: "Took", number: true, note: "from its start to its end", cell: ({ job }) => duration(tookUs(jobs, job)) },
    {
      title: "Share of the path",
      number: true,
      cell: ({ job }) => [shareBar(tookUs(jobs, job) / lengthUs), percent(tookUs(jobs, job) / lengthUs)],
    },
    {
      title: "If it took half",
      number: true,
      note: "how much shorter the run would be",
      cell: ({ whatifUs }) => (whatifUs > 0 ? `${duration(whatifUs)} less` : whatifUs === 0 ? "no change" : NOTHING),
    },
  ];
}

function pathTable(model) {
  const steps = model.critical.steps.map((step, k) => ({ ...step, place: k + 1 }));
  const holder = make("div");
  const show = (count) => {
    const rest = steps.length - count;
    const more = rest > 0 ? button(`Show ${whole(rest)} more`, "Show the whole path", () => show(steps.length)) : null;
    const table = plainTable("Jobs of the critical path, in their order", pathColumns(model), steps.slice(0, count));
    table.classList.add("tall");
    holder.replaceChildren(...[table, more].filter(Boolean));
  };
  show(STEPS_SHOWN_FIRST);
  return holder;
}

/** Speed-up against workers, both by their logarithm: what would be possible if all work could be divided is then
    the diagonal, and what is lost is the distance to it. */
function speedUpChart(rows) {
  const bottom = CHART_HEIGHT - CHART_BOTTOM;
  const most = Math.max(2, ...rows.map((row) => Math.max(row.workers, row.speed_up)));
  const part = (value) => Math.log2(Math.max(1, value)) / Math.log2(most);
  const x = (workers) => CHART_LEFT + 12 + part(workers) * (CHART_WIDTH - CHART_LEFT - 40);
  const y = (speedUp) => bottom - 6 - part(speedUp) * (bottom - 20);
  const replayed = rows.filter(
    (row) => !row.is_actual || !rows.some((other) => other !== row && other.workers === row.workers),
  );
  const path = replayed.map((row, k) => `${k === 0 ? "M" : "L"}${x(row.workers)},${y(row.speed_up)}`).join("");
  const points = rows.map((row) =>
    makeSvg(
      "g",
      null,
      makeSvg(
        "title",
        null,
        `${plural(row.workers, "worker")}: ${duration(row.time_us)}, speed-up ${row.speed_up.toFixed(2)}` +
          (row.is_actual ? " (this run)" : ""),
      ),
      makeSvg("circle", {
        cx: x(row.workers),
        cy: y(row.speed_up),
        r: row.is_actual ? 5 : 3,
        class: row.is_actual ? "actual" : "point",
      }),
    ),
  );
  const across = replayed.map((row) => svgText(x(row.workers), bottom + 18, String(row.workers), "muted middle"));
  const up = [];
  for (let value = 1; value <= most; value *= most > 32 ? 4 : 2) {
    up.push(
      makeSvg("line", { x1: CHART_LEFT, x2: CHART_WIDTH, y1: y(value), y2: y(value), class: "grid" }),
      svgText(CHART_LEFT - 6, y(value) + 4, `${value} ×`, "muted end"),
    );
  }
  const ideal = makeSvg("path", { d: `M${x(1)},${y(1)}L${x(most)},${y(most)}`, class: "ideal" });
  return make(
    "figure",
    null,
    make("figcaption", null, "Speed-up by workers"),
    chartFrame("Speed-up by workers, replayed, with what would be possible if all work could be divided", [
      ...up,
      ideal,
      makeSvg("path", { d: path, class: "replayed" }),
      ...points,
      ...across,
    ]),
    make("p", { class: "muted" }, "Dashed: as if all work could be divided. Ring: this run."),
  );
}

function workersPart(model) {
  const rows = model.workers.filter((row) => row.workers > 0 && row.speed_up > 0).sort((a, b) => a.workers - b.workers);
  if (rows.length === 0) return [];
  const table = plainTable(
    "Time of the run by workers",
    [
      {
        title: "Workers",
        number: true,
        cell: (row) => (row.is_actual ? make("strong", null, `${row.workers} (this run)`) : String(row.workers)),
      },
      { title: "Time", number: true, cell: (row) => duration(row.time_us) },
      { title: "Speed-up", number: true, note: "against one worker", cell: (row) => `${row.speed_up.toFixed(2)} ×` },
      {
        title: "Efficiency",
        number: true,
        note: "speed-up for each worker",
        cell: (row) => [shareBar(row.efficiency), percent(row.efficiency)],
      },
    ],
    rows,
  );
  const chart = rows.length > 1 ? speedUpChart(rows) : null;
  return [
    make("h3", null, "Workers"),
    make(
      "p",
      { class: "muted" },
      "The run with other numbers of workers, as a simulation replays it with the durations that were measured.",
    ),
    make("div", { class: "pair" }, table, chart),
  ];
}

function criticalSection(model) {
  const { steps, lengthUs } = model.critical;
  const workers = workersPart(model);
  if (steps.length === 0 && workers.length === 0) return null;
  if (steps.length === 0) return { id: "critical", title: "Critical path", body: workers };
  const length = Number.isFinite(lengthUs) ? ` and takes ${duration(lengthUs)}` : "";
  const note =
    `The chain of jobs that decides how long the run takes: it has ${plural(steps.length, "job")}${length}. ` +
    "To shorten the run, shorten these.";
  const showInTimeline = button("Show in the timeline", "Highlight the critical path in the timeline", () =>
    setState({ critical: true, section: "timeline" }),
  );
  return {
    id: "critical",
    title: "Critical path",
    body: [
      make("p", { class: "muted" }, note),
      make("div", { class: "tools" }, showInTimeline),
      pathTable(model),
      ...workers,
    ],
  };
}
