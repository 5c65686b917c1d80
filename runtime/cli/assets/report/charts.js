// Owns: distributions: histograms of durations and of memory, and the table of families.
// Does not know: single jobs.

const CHART_WIDTH = 520;
const CHART_HEIGHT = 170;
const CHART_LEFT = 46;
const CHART_BOTTOM = 30;
const FAMILY_ROWS_MAX = 500;

/** Bins of equal width on a scale of logarithms: `perFold` bins for each factor of `fold`. */
function logBins(values, fold, perFold) {
  const positive = values.filter((value) => value > 0);
  if (positive.length === 0) return [];
  const place = (value) => Math.floor((Math.log(value) / Math.log(fold)) * perFold + 1e-9);
  const edge = (bin) => fold ** (bin / perFold);
  let low = Infinity;
  let high = -Infinity;
  for (const value of positive) {
    low = Math.min(low, place(value));
    high = Math.max(high, place(value));
  }
  const bins = Array.from({ length: high - low + 1 }, (_, k) => ({
    from: edge(low + k),
    to: edge(low + k + 1),
    count: 0,
  }));
  for (const value of positive) bins[place(value) - low].count++;
  return bins;
}

function niceMax(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((m) => m * power).find((nice) => nice >= value);
}

function chartFrame(label, children) {
  return makeSvg(
    "svg",
    { class: "chart", viewBox: `0 0 ${CHART_WIDTH} ${CHART_HEIGHT}`, role: "img", "aria-label": label },
    children,
  );
}

function horizontalLines(max, top, bottom, format) {
  return [0, 0.5, 1].flatMap((part) => {
    const y = bottom - part * (bottom - top);
    return [
      makeSvg("line", { x1: CHART_LEFT, x2: CHART_WIDTH, y1: y, y2: y, class: "grid" }),
      svgText(CHART_LEFT - 6, y + 4, format(part * max), "muted end"),
    ];
  });
}

function histogram(title, bins, format) {
  if (bins.length === 0)
    return make(
      "figure",
      null,
      make("figcaption", null, title),
      make("p", { class: "muted" }, "Nothing was measured."),
    );
  const bottom = CHART_HEIGHT - CHART_BOTTOM;
  const max = niceMax(bins.reduce((most, { count }) => Math.max(most, count), 0));
  const step = Math.min(64, (CHART_WIDTH - CHART_LEFT - 8) / bins.length);
  const labelEvery = Math.ceil(62 / step);
  const bars = bins.flatMap(({ from, to, count }, k) => {
    const x = CHART_LEFT + 4 + k * step;
    const height = count === 0 ? 0 : Math.max(2, (count / max) * (bottom - 10));
    const tip = `${format(from)} to ${format(to)}: ${plural(count, "job")}`;
    const label = k % labelEvery === 0 && x + 44 < CHART_WIDTH ? svgText(x, bottom + 18, format(from), "muted") : null;
    return [
      makeSvg(
        "g",
        null,
        makeSvg("title", null, tip),
        makeSvg("rect", { x, y: 10, width: step, height: bottom - 10, class: "catch" }),
        makeSvg("rect", { x: x + 0.5, y: bottom - height, width: Math.max(1, step - 1.5), height, class: "bar" }),
      ),
      label,
    ];
  });
  const chart = chartFrame(`${title}: ${bins.length} bins`, [
    ...horizontalLines(max, 10, bottom, (v) => (Number.isInteger(v) ? whole(v) : "")),
    ...bars,
  ]);
  return make("figure", null, make("figcaption", null, title), chart);
}

function familyTable(model) {
  const all = model.familyRows.reduce((sum, row) => sum + row.totalUs, 0);
  const rows = [...model.familyRows].sort((a, b) => b.totalUs - a.totalUs || b.jobs - a.jobs);
  const time = (title, of, note) => ({ title, note, number: true, cell: (row) => duration(of(row)) });
  const table = plainTable(
    "Families by the wall time of their attempts",
    [
      {
        title: "Family",
        cell: (row) => [
          swatch(row.family),
          filterLink(row.name, `family:${quoted(row.name)}`, { class: "name", title: row.name }),
        ],
      },
      { title: "Jobs", number: true, cell: (row) => whole(row.jobs) },
      { title: "Executed", number: true, cell: (row) => whole(row.executed) },
      { title: "Cached", number: true, cell: (row) => whole(row.cached) },
      {
        title: "Failed",
        number: true,
        cell: (row) => (row.failed > 0 ? make("strong", { class: "bad" }, `✕ ${whole(row.failed)}`) : "0"),
      },
      time("Mean", (row) => row.totalUs / row.durations.length),
      time("p50", (row) => quantile(row.durations, 0.5), "half of them took at most this"),
      time("p95", (row) => quantile(row.durations, 0.95), "19 of 20 took at most this"),
      time("Max", (row) => row.durations.at(-1)),
      time("Total", (row) => row.totalUs, "wall time of all attempts of this run"),
      { title: "Share", number: true, cell: (row) => [shareBar(row.totalUs / all), percent(row.totalUs / all)] },
    ],
    rows.slice(0, FAMILY_ROWS_MAX),
  );
  table.classList.add("tall");
  return table;
}

function distributionsSection(model) {
  const { jobs } = model;
  if (jobs.n === 0) return null;
  const executed = [];
  for (let i = 0; i < jobs.n; i++) if (wasExecuted(jobs, i)) executed.push(i);
  const charts =
    executed.length === 0
      ? make("p", { class: "muted" }, "No job was executed in this run, so there are no durations to show.")
      : make(
          "div",
          { class: "pair" },
          histogram(
            "Wall time of executed jobs",
            logBins(
              executed.map((i) => jobs.wall[i]),
              10,
              5,
            ),
            duration,
          ),
          histogram(
            "Peak memory of executed jobs",
            logBins(
              executed.map((i) => jobs.memory[i]),
              2,
              2,
            ),
            bytes,
          ),
        );
  return {
    id: "distributions",
    title: "Distributions",
    body: [charts, make("h3", null, "By family"), familyTable(model)],
  };
}
