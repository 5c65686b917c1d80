// Owns: the graph of families, of which small ones open to show their jobs.
// Does not know: how boxes are laid out, the neighbours of one job.

const EXPANDED_JOBS_MAX = 60;
const FAMILIES_DRAWN_MAX = 400;
const BOX_WIDTH = 188;
const BOX_HEIGHT = 84;
const CELL_WIDTH = 172;
const CELL_HEIGHT = 20;
const CELLS_DOWN = 20;
const BOX_CHARACTERS = 22;
const CELL_CHARACTERS = 23;
const SCALE_MIN = 0.8;

function clipped(text, characters) {
  const points = [...text];
  return points.length > characters ? `${points.slice(0, characters - 1).join("")}…` : text;
}

/** An element of a drawing that acts like a button. */
function actor(attributes, act, ...children) {
  return makeSvg(
    "g",
    {
      ...attributes,
      tabindex: "0",
      role: "button",
      onclick: act,
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        act(event);
      },
    },
    ...children,
  );
}

function svgText(x, y, text, className) {
  return makeSvg("text", { x, y, class: className }, text);
}

function openFamilies() {
  return new Set(state.open.split(",").filter(Boolean).map(Number));
}

function toggleFamily(family) {
  const open = openFamilies();
  if (!open.delete(family)) open.add(family);
  setState({ open: [...open].join(",") });
}

/** Few jobs are shown in the box, one at once, many in the table. */
function chooseFamily(row) {
  if (row.jobs === 1) setState({ job: row.members[0] });
  else if (row.jobs <= EXPANDED_JOBS_MAX) toggleFamily(row.family);
  else setState({ filter: `family:${quoted(row.name)}`, section: "jobs" });
}

function isOpen(row, open) {
  return row.jobs > 1 && row.jobs <= EXPANDED_JOBS_MAX && open.has(row.family);
}

function boxSize(row, open) {
  if (!isOpen(row, open)) return { width: BOX_WIDTH, height: BOX_HEIGHT };
  const columns = Math.ceil(row.jobs / CELLS_DOWN);
  const down = Math.min(row.jobs, CELLS_DOWN);
  return { width: Math.max(BOX_WIDTH, columns * CELL_WIDTH + 16), height: BOX_HEIGHT + down * CELL_HEIGHT + 8 };
}

function countsLine(row) {
  const parts = [];
  if (row.executed > 0) parts.push(`${whole(row.executed)} executed`);
  if (row.cached > 0) parts.push(`${whole(row.cached)} cached`);
  const rest = row.jobs - row.executed - row.cached;
  if (rest > 0) parts.push(`${whole(rest)} not executed`);
  return parts.join(", ") || "nothing";
}

/** How many of the jobs were executed, cached and failed, as a bar along the bottom of the box. */
function countsBar(row, width, y) {
  const inner = width - 20;
  const parts = [
    ["bar-run", row.executed - row.failed],
    ["bar-bad", row.failed],
    ["bar-hit", row.cached],
  ];
  let x = 10;
  const bars = parts
    .filter(([, count]) => count > 0)
    .map(([className, count]) => {
      const part = Math.max(3, (count / Math.max(1, row.jobs)) * inner);
      const bar = makeSvg("rect", { x, y, width: Math.min(part, 10 + inner - x), height: 5, class: className });
      x += part;
      return bar;
    });
  return [makeSvg("rect", { x: 10, y, width: inner, height: 5, class: "bar-ground" }), ...bars];
}

function jobCell(model, job, k) {
  const { jobs } = model;
  const x = 8 + Math.floor(k / CELLS_DOWN) * CELL_WIDTH;
  const y = BOX_HEIGHT + (k % CELLS_DOWN) * CELL_HEIGHT;
  const act = (event) => {
    event.stopPropagation();
    setState({ job });
  };
  const className = `cell ${jobs.status[job]}${job === state.job ? " selected" : ""}`;
  return actor(
    {
      class: className,
      transform: `translate(${x},${y})`,
      "aria-label": `${jobs.name[job]}, ${jobs.status[job]}`,
      "data-job": job,
    },
    act,
    makeSvg("title", null, `${jobs.name[job]}\n${jobs.status[job]}, wall time ${duration(jobs.wall[job])}`),
    makeSvg("rect", { width: CELL_WIDTH - 4, height: CELL_HEIGHT - 2, rx: 3 }),
    svgText(6, 13, STATUS_SIGNS[jobs.status[job]] ?? "?", "sign"),
    svgText(20, 13, clipped(jobs.name[job], CELL_CHARACTERS), null),
  );
}

function takesFromItself(model, family) {
  return model.familyNeeds[family].includes(family);
}

function familyBox(model, row, box, open) {
  const expanded = isOpen(row, open);
  const verb = row.jobs > EXPANDED_JOBS_MAX ? "show in the table" : expanded ? "close" : "open";
  const failed = row.failed > 0 ? svgText(box.width - 10, 38, `✕ ${whole(row.failed)} failed`, "bad end") : null;
  const loop = takesFromItself(model, row.family) ? svgText(box.width - 10, 21, "↻", "muted end") : null;
  const label =
    `${row.name}: ${plural(row.jobs, "job")}, ${countsLine(row)}, ${whole(row.failed)} failed` +
    `${loop ? ", takes from itself" : ""}; ${verb}`;
  return actor(
    {
      class: `box${row.failed > 0 ? " failed" : ""}`,
      transform: `translate(${box.x},${box.y})`,
      "aria-label": label,
      "aria-expanded": row.jobs <= EXPANDED_JOBS_MAX && row.jobs > 1 ? String(expanded) : null,
      "data-family": row.family,
    },
    () => chooseFamily(row),
    makeSvg("title", null, label),
    makeSvg("rect", { width: box.width, height: box.height, rx: 7, class: "frame" }),
    makeSvg("rect", {
      x: 10,
      y: 11,
      width: 11,
      height: 11,
      rx: 2,
      fill: familyColour(row.family),
      class: isStriped(row.family) ? "striped" : null,
    }),
    svgText(28, 21, clipped(row.name, BOX_CHARACTERS), "title"),
    svgText(10, 38, plural(row.jobs, "job"), null),
    failed,
    svgText(10, 54, countsLine(row), "muted"),
    svgText(10, 70, row.executed > 0 ? `${duration(row.totalUs)} of wall time` : "no time", "muted"),
    loop,
    ...countsBar(row, box.width, BOX_HEIGHT - 9),
    ...(expanded ? row.members.map((job, k) => jobCell(model, job, k)) : []),
  );
}

function curve(from, to) {
  const middle = (from.x + to.x) / 2;
  return `C${middle},${from.y} ${middle},${to.y} ${to.x},${to.y}`;
}

function routePath(route) {
  const points = route.map((node, k) => {
    const y = node.y + Math.min(node.height, BOX_HEIGHT) / 2;
    return { left: { x: node.x, y }, right: { x: node.x + node.width, y }, isLast: k === route.length - 1 };
  });
  let path = `M${points[0].right.x},${points[0].right.y}`;
  for (let k = 1; k < points.length; k++) {
    path += curve(points[k - 1].right, points[k].left);
    if (!points[k].isLast) path += `H${points[k].right.x}`;
  }
  return path;
}

function arrowHead() {
  return makeSvg(
    "defs",
    null,
    makeSvg(
      "marker",
      {
        id: "arrow",
        viewBox: "0 0 8 8",
        refX: 7,
        refY: 4,
        markerWidth: 7,
        markerHeight: 7,
        orient: "auto",
      },
      makeSvg("path", { d: "M0,0.5L7.5,4L0,7.5z", class: "arrow" }),
    ),
  );
}

/** Families can need one another in circles; what of that is left out of the layers is a dashed line. */
function backRoutes(model, boxes, routes) {
  const drawn = new Set(routes.map((route) => `${route[0].family} ${route[route.length - 1].family}`));
  const back = [];
  for (const box of boxes) {
    for (const need of model.familyNeeds[box.family]) {
      if (need !== box.family && boxes[need] && !drawn.has(`${need} ${box.family}`)) back.push([boxes[need], box]);
    }
  }
  return back.map(([from, to]) =>
    makeSvg("path", { d: routePath([from, to]), class: "edge back", "marker-end": "url(#arrow)" }),
  );
}

function drawGraph(model, holder) {
  const open = openFamilies();
  const rows = model.familyRows.slice(0, FAMILIES_DRAWN_MAX);
  const needs = rows.map(({ family }) =>
    model.familyNeeds[family].filter((need) => need < rows.length && need !== family),
  );
  const { boxes, routes, width, height } = layOut(
    rows.map((row) => boxSize(row, open)),
    needs,
  );
  const scale = Math.min(1, Math.max(SCALE_MIN, (holder.clientWidth - 4) / (width + 16)));
  const svg = makeSvg(
    "svg",
    {
      viewBox: `-8 -8 ${width + 16} ${height + 16}`,
      width: (width + 16) * scale,
      height: (height + 16) * scale,
      role: "group",
      "aria-label": "Families of jobs and what they take from each other",
    },
    arrowHead(),
    routes.map((route) => makeSvg("path", { d: routePath(route), class: "edge", "marker-end": "url(#arrow)" })),
    backRoutes(model, boxes, routes),
    rows.map((row, k) => familyBox(model, row, boxes[k], open)),
  );
  const focused = document.activeElement?.closest?.("[data-family]")?.dataset.family;
  holder.replaceChildren(svg);
  if (focused !== undefined) holder.querySelector(`[data-family="${focused}"]`)?.focus();
}

function graphSection(model) {
  const rows = model.familyRows;
  if (rows.length === 0) return null;
  const holder = make("div", { class: "scroll graph" });
  const around = make("div", { class: "scroll graph" });
  const hint =
    "Each box is a family of jobs, and takes from those to its left. A press opens a family of at most " +
    `${EXPANDED_JOBS_MAX} jobs; of larger ones it shows the jobs in the table.`;
  const notes = [make("p", { class: "muted" }, hint)];
  if (rows.length > FAMILIES_DRAWN_MAX)
    notes.push(make("p", null, `Only the first ${FAMILIES_DRAWN_MAX} of ${whole(rows.length)} families are drawn.`));
  const mounted = () => {
    drawGraph(model, holder);
    drawNeighbours(model, around);
    let width = holder.clientWidth;
    new ResizeObserver(() => {
      if (holder.clientWidth === width) return;
      width = holder.clientWidth;
      drawGraph(model, holder);
    }).observe(holder);
    onChange((old) => {
      if ("open" in old || ("job" in old && state.open)) drawGraph(model, holder);
      if ("job" in old) drawNeighbours(model, around);
    });
  };
  return {
    id: "graph",
    title: "Graph",
    body: [...notes, holder, make("h3", { id: "around" }, "Around the selected job"), around],
    mounted,
  };
}
