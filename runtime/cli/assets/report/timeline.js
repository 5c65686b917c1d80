// Owns: the timeline's view: zooming, dragging, keys, what is under the pointer.
// Does not know: how pixels are painted, what else the page shows of a job.

const SPAN_MIN_US = 20;
const OVERVIEW_HEIGHT = 30;
const NEAR_PIXELS = 3;
const ZOOM_STEP = 1.5;

function makeScene(model) {
  const lanes = makeLanes(model);
  const laneOf = new Int32Array(model.jobs.n).fill(-1);
  lanes.forEach((lane, index) => {
    for (const job of lane.bars) laneOf[job] = index;
    for (const job of lane.ticks) laneOf[job] = index;
  });
  const fullUs = Math.max(model.horizonUs * 1.01, SPAN_MIN_US);
  const rowHeight = Math.max(9, Math.min(24, Math.floor(560 / Math.max(1, lanes.length))));
  return {
    model,
    lanes,
    laneOf,
    fullUs,
    rowHeight,
    series: makeSeries(model),
    view: { from: 0, to: fullUs },
    gutter: 64,
    width: 800,
    height: LANES_TOP + lanes.length * rowHeight + 2,
    ratio: 1,
    patterns: new Map(),
    selected: -1,
    hover: -1,
    critical: false,
    colours: null,
    pen: null,
  };
}

/** A view of the same span that lies within the run. */
function clampView(scene, from, to) {
  const span = Math.min(scene.fullUs, Math.max(SPAN_MIN_US, to - from));
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(0, middle - span / 2), scene.fullUs - span);
  return { from: start, to: start + span };
}

function isWhole(scene, view) {
  return view.to - view.from >= scene.fullUs * 0.9999;
}

/** Changes the view, and says so in the address. */
function look(scene, from, to) {
  const view = clampView(scene, from, to);
  setState(isWhole(scene, view) ? { from: NaN, to: NaN } : view);
}

function zoomAt(scene, factor, at) {
  const { from, to } = scene.view;
  const fixed = at ?? (from + to) / 2;
  look(scene, fixed - (fixed - from) / factor, fixed + (to - fixed) / factor);
}

function pan(scene, pixels) {
  const us = (pixels * (scene.view.to - scene.view.from)) / (scene.width - scene.gutter);
  look(scene, scene.view.from + us, scene.view.to + us);
}

function showJobInTimeline(scene, job) {
  const { jobs } = scene.model;
  const start = momentOf(jobs, job);
  if (Number.isNaN(start)) return;
  const span = Math.max((jobs.end[job] - start || 0) * 6, SPAN_MIN_US * 10);
  const middle = (start + (jobs.end[job] || start)) / 2;
  look(scene, middle - span / 2, middle + span / 2);
  scrollToSection("timeline");
}

/** The job of a lane that is at a point, or within a few pixels of it, and how many more are as near. */
function jobAt(scene, x, y) {
  const lane = scene.lanes[Math.floor((y - LANES_TOP) / scene.rowHeight)];
  if (!lane || y < LANES_TOP || x < scene.gutter) return { job: -1, more: 0 };
  const { jobs } = scene.model;
  const time = xToTime(scene, x);
  const nearUs = xToTime(scene, x + NEAR_PIXELS) - time;
  let best = { job: -1, distance: Infinity };
  let near = 0;
  const consider = (job, distance) => {
    if (distance > nearUs) return;
    near++;
    if (distance < best.distance) best = { job, distance };
  };
  for (let k = lastAtMost(lane.tickTimes, time + nearUs); k >= 0 && lane.tickTimes[k] >= time - nearUs; k--) {
    consider(lane.ticks[k], Math.abs(lane.tickTimes[k] - time));
  }
  for (let k = lastAtMost(lane.barStarts, time + nearUs); k >= 0; k--) {
    const job = lane.bars[k];
    if (lane.barStarts[k] < time - nearUs - lane.longestUs) break;
    consider(job, Math.max(0, jobs.start[job] - time, time - jobs.end[job]));
  }
  const narrow = best.job >= 0 && (jobs.end[best.job] - jobs.start[best.job] || 0) < 2 * nearUs;
  return { job: best.job, more: narrow ? near - 1 : 0 };
}

function tipRows(rows) {
  return make(
    "dl",
    null,
    rows.map(([name, value]) => [make("dt", null, name), make("dd", null, value)]),
  );
}

function whyOf(model, job) {
  const { jobs } = model;
  if (jobs.cached[job]) return "cached";
  if (jobs.why[job] >= 0) return model.whys[jobs.why[job]];
  return wasExecuted(jobs, job) ? "" : jobs.status[job];
}

function jobTip(model, job, more) {
  const { jobs } = model;
  const rows = [
    ["family", model.families[jobs.family[job]]],
    ["start", `${duration(jobs.start[job])} after the run's`],
    [jobs.cached[job] ? "wall time, when executed" : "wall time", duration(jobs.wall[job])],
    ["CPU time", duration(jobs.cpu[job])],
    ["waited for a worker", duration(jobs.wait[job])],
  ];
  (jobs.phases[job] ?? []).forEach((us, k) => rows.push([PHASES[k], duration(us)]));
  if (whyOf(model, job)) rows.push(["why", whyOf(model, job)]);
  if (model.critical.on[job]) rows.push(["critical path", "yes"]);
  return [
    make("strong", { class: "name" }, jobs.name[job]),
    statusBadge(jobs.status[job]),
    tipRows(rows),
    more > 0 ? make("p", { class: "muted" }, `and ${whole(more)} more here: zoom in`) : null,
  ].filter(Boolean);
}

function stripTip(scene, time) {
  return [
    tipRows([
      ["at", duration(time)],
      ["running", plural(valueAt(scene.series.running, time), "job")],
      ["ready, waiting for a worker", plural(valueAt(scene.series.waiting, time), "job")],
    ]),
  ];
}

function hoverAt(scene, canvas, event, redraw) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const { job, more } = jobAt(scene, x, y);
  canvas.style.cursor = job >= 0 ? "pointer" : "";
  if (job >= 0) showTip(event.clientX, event.clientY, ...jobTip(scene.model, job, more));
  else if (x >= scene.gutter && y < LANES_TOP)
    showTip(event.clientX, event.clientY, ...stripTip(scene, xToTime(scene, x)));
  else hideTip();
  if (job !== scene.hover) {
    scene.hover = job;
    redraw();
  }
}

/** Drag moves the view, two fingers zoom, a press without movement selects. */
function listenToPointers(scene, canvas, redraw) {
  const pointers = new Map();
  let moved = 0;
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return Math.max(8, Math.abs(a.x - b.x));
  };
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, { x: event.clientX });
    moved = pointers.size > 1 ? Infinity : 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const pointer = pointers.get(event.pointerId);
    if (!pointer) return hoverAt(scene, canvas, event, redraw);
    const before = pointers.size === 2 ? spread() : 0;
    const shift = event.clientX - pointer.x;
    pointer.x = event.clientX;
    moved += Math.abs(shift);
    if (moved > 4 && !canvas.hasPointerCapture(event.pointerId)) canvas.setPointerCapture(event.pointerId);
    hideTip();
    if (pointers.size === 2)
      zoomAt(scene, spread() / before, xToTime(scene, event.clientX - canvas.getBoundingClientRect().left));
    else if (moved > 4) pan(scene, -shift);
    return undefined;
  });
  const release = (event) => {
    if (!pointers.delete(event.pointerId) || event.type !== "pointerup" || moved > 4) return;
    const box = canvas.getBoundingClientRect();
    const { job } = jobAt(scene, event.clientX - box.left, event.clientY - box.top);
    if (job >= 0) setState({ job });
  };
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, release);
  canvas.addEventListener("pointerleave", () => {
    hideTip();
    scene.hover = -1;
    redraw();
  });
}

/** The wheel zooms once the timeline has the focus, or with Ctrl (a pinch on a touchpad comes as that): else the
    page could not be scrolled past it. */
function listenToWheel(scene, canvas) {
  canvas.addEventListener(
    "wheel",
    (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
      const mine = event.ctrlKey || event.metaKey || document.activeElement === canvas;
      if (!sideways && !mine) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const delta = (sideways ? event.deltaX || event.deltaY : event.deltaY) * lines;
      if (sideways) pan(scene, delta);
      else
        zoomAt(scene, Math.exp(-delta * 0.0022), xToTime(scene, event.clientX - canvas.getBoundingClientRect().left));
    },
    { passive: false },
  );
}

function listenToKeys(scene, canvas) {
  const step = () => (scene.width - scene.gutter) / 8;
  const keys = {
    "+": () => zoomAt(scene, ZOOM_STEP),
    "=": () => zoomAt(scene, ZOOM_STEP),
    "-": () => zoomAt(scene, 1 / ZOOM_STEP),
    0: () => look(scene, 0, scene.fullUs),
    ArrowLeft: () => pan(scene, -step()),
    ArrowRight: () => pan(scene, step()),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
}

function listenToOverview(scene, canvas) {
  const move = (event) => {
    if (event.buttons !== 1) return;
    const box = canvas.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * scene.fullUs;
    const half = (scene.view.to - scene.view.from) / 2;
    look(scene, at - half, at + half);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", move);
}

function resize(scene, canvas, overview, width) {
  scene.width = Math.max(200, Math.floor(width));
  scene.gutter = scene.width < 560 ? 58 : 66;
  scene.ratio = Math.min(2, window.devicePixelRatio || 1);
  scene.patterns.clear();
  const sizes = [
    [canvas, scene.width, scene.height],
    [overview, scene.width - scene.gutter, OVERVIEW_HEIGHT],
  ];
  for (const [one, w, h] of sizes) {
    one.width = Math.round(w * scene.ratio);
    one.height = Math.round(h * scene.ratio);
    one.style.width = `${w}px`;
    one.style.height = `${h}px`;
  }
}

/** Draws at once the first time, and later at most once for each frame. */
function makeDrawer(scene, canvas, overview) {
  scene.pen = canvas.getContext("2d");
  const overviewPen = overview.getContext("2d");
  let asked = false;
  const draw = () => {
    asked = false;
    drawTimeline(scene);
    drawOverview(scene, overviewPen, OVERVIEW_HEIGHT);
  };
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  };
  return { draw, redraw };
}

function timelineLegend(model) {
  const shownFamilies = model.familyRows.slice(0, 24);
  const entries = shownFamilies.map(({ family, name }) =>
    make("li", null, swatch(family), filterLink(name, `family:${quoted(name)}`, { class: "name", title: name })),
  );
  if (model.families.length > shownFamilies.length)
    entries.push(make("li", null, `… ${model.families.length - shownFamilies.length} more`));
  return make(
    "ul",
    { class: "legend" },
    entries,
    make("li", null, make("span", { class: "swatch failed" }), "failed"),
    make("li", null, make("span", { class: "swatch tick" }), "short tick: cached or passed over"),
    make("li", null, make("span", { class: "swatch pale" }), "pale foot: reading, compiling, storing"),
  );
}

function timelineSection(model) {
  const scene = makeScene(model);
  if (scene.lanes.every((lane) => lane.bars.length + lane.ticks.length === 0)) {
    return { id: "timeline", title: "Timeline", body: [make("p", { class: "muted" }, "No job has a time.")] };
  }
  const label =
    `Timeline of ${plural(model.jobs.n, "job")} on ${scene.lanes.length} lanes; ` +
    "the table of jobs has the same data";
  const canvas = make("canvas", { class: "lanes", tabindex: "0", role: "img", "aria-label": label });
  const overview = make("canvas", { class: "overview", "aria-hidden": "true" });
  const { draw, redraw } = makeDrawer(scene, canvas, overview);
  const critical = make("input", { type: "checkbox", onchange: () => setState({ critical: critical.checked }) });
  const tools = make(
    "div",
    { class: "tools" },
    button("+", "Zoom in (+)", () => zoomAt(scene, ZOOM_STEP)),
    button("−", "Zoom out (-)", () => zoomAt(scene, 1 / ZOOM_STEP)),
    button("Whole run", "Show the whole run (0)", () => look(scene, 0, scene.fullUs)),
    model.critical.steps.length > 0 ? make("label", null, critical, " Critical path") : null,
    make("span", { class: "muted hint" }, "Drag to move; Ctrl and wheel, pinch, or + − ← → 0 to zoom"),
  );
  const holder = make("div", { class: "timeline" }, overview, canvas);
  const follow = () => {
    scene.view =
      Number.isFinite(state.from) && state.to > state.from
        ? clampView(scene, state.from, state.to)
        : { from: 0, to: scene.fullUs };
    scene.selected = state.job < model.jobs.n ? state.job : -1;
    scene.critical = critical.checked = state.critical;
  };
  const restyle = () => {
    scene.colours = readColours();
    scene.patterns.clear();
    draw();
  };
  const mounted = () => {
    listenToPointers(scene, canvas, redraw);
    listenToWheel(scene, canvas);
    listenToKeys(scene, canvas);
    listenToOverview(scene, overview);
    follow();
    resize(scene, canvas, overview, holder.clientWidth);
    restyle();
    new ResizeObserver(() => {
      if (Math.floor(holder.clientWidth) === scene.width) return;
      resize(scene, canvas, overview, holder.clientWidth);
      draw();
    }).observe(holder);
    onChange((old) => {
      if ("job" in old || "from" in old || "to" in old || "critical" in old) {
        follow();
        redraw();
      }
    });
  };
  return {
    id: "timeline",
    title: "Timeline",
    body: [tools, holder, timelineLegend(model)],
    mounted,
    restyle,
    show: (job) => showJobInTimeline(scene, job),
  };
}
