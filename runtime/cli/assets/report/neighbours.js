// Owns: the drawing of one job with what it needs and what needs it.
// Does not know: families.

const NEIGHBOURS_MAX = 30;
const NEIGHBOUR_WIDTH = 230;
const NEIGHBOUR_HEIGHT = 24;
const NEIGHBOUR_GAP = 90;
const NEIGHBOUR_CHARACTERS = 30;

function neighbourBox(model, job, x, y, className) {
  const { jobs } = model;
  return actor(
    {
      class: `cell ${jobs.status[job]} ${className}`,
      transform: `translate(${x},${y})`,
      "aria-label": `${jobs.name[job]}, ${jobs.status[job]}`,
      "data-job": job,
    },
    () => setState({ job }),
    makeSvg("title", null, `${jobs.name[job]}\n${jobs.status[job]}, wall time ${duration(jobs.wall[job])}`),
    makeSvg("rect", { width: NEIGHBOUR_WIDTH, height: NEIGHBOUR_HEIGHT - 4, rx: 4 }),
    makeSvg("rect", { width: 4, height: NEIGHBOUR_HEIGHT - 4, fill: familyColour(jobs.family[job]), class: "mark" }),
    svgText(11, 14, STATUS_SIGNS[jobs.status[job]] ?? "?", "sign"),
    svgText(27, 14, clipped(jobs.name[job], NEIGHBOUR_CHARACTERS), null),
  );
}

/** One side: boxes below each other, each with its line to the job in the middle. */
function side(model, found, count, x, middle, isLeft) {
  const rows = found.length + (count > found.length ? 1 : 0);
  const top = middle - (rows * NEIGHBOUR_HEIGHT) / 2;
  const parts = [];
  found.forEach((job, k) => {
    const y = top + k * NEIGHBOUR_HEIGHT;
    const end = { x: isLeft ? x + NEIGHBOUR_WIDTH : x, y: y + NEIGHBOUR_HEIGHT / 2 - 2 };
    const centre = { x: isLeft ? x + NEIGHBOUR_WIDTH + NEIGHBOUR_GAP : x - NEIGHBOUR_GAP, y: middle - 2 };
    const [from, to] = isLeft ? [end, centre] : [centre, end];
    parts.push(makeSvg("path", { d: `M${from.x},${from.y}${curve(from, to)}`, class: "edge" }));
    parts.push(neighbourBox(model, job, x, y, ""));
  });
  const text = count === 0 ? (isLeft ? "needs nothing" : "nothing needs it") : `… ${whole(count - found.length)} more`;
  if (count === 0) parts.push(svgText(x + 8, middle + 2, text, "muted"));
  else if (count > found.length) parts.push(svgText(x + 8, top + found.length * NEIGHBOUR_HEIGHT + 14, text, "muted"));
  return { parts, height: Math.max(1, rows) * NEIGHBOUR_HEIGHT };
}

function drawNeighbours(model, holder) {
  const { job } = state;
  if (!(job >= 0 && job < model.jobs.n)) {
    holder.replaceChildren(make("p", { class: "muted" }, "Select a job to see what it needs and what needs it."));
    return;
  }
  const needs = firstNeeds(model.jobs, job, NEIGHBOURS_MAX);
  const { found, count } = firstDependants(model.jobs, job, NEIGHBOURS_MAX);
  const rows = Math.max(needs.length, found.length, 1) + 1;
  const middle = (rows * NEIGHBOUR_HEIGHT) / 2;
  const step = NEIGHBOUR_WIDTH + NEIGHBOUR_GAP;
  const left = side(model, needs, countNeeds(model.jobs, job), 0, middle, true);
  const right = side(model, found, count, 2 * step, middle, false);
  const width = 2 * step + NEIGHBOUR_WIDTH;
  const height = rows * NEIGHBOUR_HEIGHT;
  const scale = Math.min(1, Math.max(SCALE_MIN, (holder.clientWidth - 4) / (width + 8)));
  holder.replaceChildren(
    makeSvg(
      "svg",
      {
        viewBox: `-4 -4 ${width + 8} ${height + 8}`,
        width: (width + 8) * scale,
        height: (height + 8) * scale,
        role: "group",
        "aria-label": "What the selected job needs, and what needs it",
      },
      left.parts,
      right.parts,
      neighbourBox(model, job, step, middle - NEIGHBOUR_HEIGHT / 2, "selected"),
    ),
  );
}
