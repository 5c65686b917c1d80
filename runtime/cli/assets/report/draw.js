// Owns: the pixels of the timeline.
// Does not know: pointers and keys, how the view came to be what it is.

const AXIS_HEIGHT = 24;
const STRIP_HEIGHT = 38;
const STRIP_GAP = 6;
const LANES_TOP = AXIS_HEIGHT + 2 * (STRIP_HEIGHT + STRIP_GAP) + 4;
const LABEL_WIDTH_MIN = 44;
const LABEL_HEIGHT_MIN = 12;
const PHASE_WIDTH_MIN = 10;
// Of a longer path the line is enough, and frames would be most of the work.
const CRITICAL_FRAMES_MAX = 2000;
const FONT = "11px system-ui, sans-serif";

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "muted", "line", "surface", "sunken", "accent", "bad", "run", "wait", "path"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function timeToX(scene, us) {
  const { from, to } = scene.view;
  return scene.gutter + ((us - from) / (to - from)) * (scene.width - scene.gutter);
}

function xToTime(scene, x) {
  const { from, to } = scene.view;
  return from + ((x - scene.gutter) / (scene.width - scene.gutter)) * (to - from);
}

function laneTop(scene, lane) {
  return LANES_TOP + lane * scene.rowHeight;
}

/** Diagonal lines of `colour` on `ground`; patterns are made once for each scene. */
function stripes(scene, ground, colour) {
  const key = `${ground} ${colour}`;
  if (!scene.patterns.has(key)) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.fillStyle = ground;
    pen.fillRect(0, 0, 6, 6);
    pen.strokeStyle = colour;
    pen.lineWidth = 1.6;
    for (const shift of [-6, 0, 6]) {
      pen.beginPath();
      pen.moveTo(shift - 1, 7);
      pen.lineTo(shift + 7, -1);
      pen.stroke();
    }
    scene.patterns.set(key, scene.pen.createPattern(tile, "repeat"));
  }
  return scene.patterns.get(key);
}

function familyPaint(scene, family) {
  const colour = familyColour(family);
  return isStriped(family) ? stripes(scene, colour, "rgba(255,255,255,0.55)") : colour;
}

function drawAxis(scene) {
  const { pen, colours, view } = scene;
  const step = tickStep(view.to - view.from, (scene.width - scene.gutter) / 90);
  pen.font = FONT;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let k = Math.ceil(view.from / step); k * step <= view.to; k++) {
    const x = Math.round(timeToX(scene, k * step)) + 0.5;
    pen.fillStyle = colours.line;
    pen.fillRect(x - 0.5, AXIS_HEIGHT - 4, 1, scene.height - AXIS_HEIGHT + 4);
    const label = tickLabel(k * step, step);
    const half = pen.measureText(label).width / 2;
    pen.fillStyle = colours.muted;
    pen.fillText(label, Math.min(Math.max(x, scene.gutter + half), scene.width - half - 1), 10);
  }
}

/** One value for each column of pixels: the mean over the time that the column stands for. */
function drawStrip(scene, top, series, label, colour) {
  const { pen, colours, view } = scene;
  const bottom = top + STRIP_HEIGHT;
  const usPerPixel = (view.to - view.from) / (scene.width - scene.gutter);
  pen.beginPath();
  pen.moveTo(scene.gutter, bottom);
  let before = integralAt(series, view.from);
  for (let x = scene.gutter; x < scene.width; x++) {
    const after = integralAt(series, view.from + (x + 1 - scene.gutter) * usPerPixel);
    const y = bottom - ((after - before) / usPerPixel / Math.max(1, series.max)) * (STRIP_HEIGHT - 2);
    pen.lineTo(x, y);
    pen.lineTo(x + 1, y);
    before = after;
  }
  pen.lineTo(scene.width, bottom);
  pen.globalAlpha = 0.35;
  pen.fillStyle = colour;
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.25;
  pen.stroke();
  pen.fillStyle = colours.ink;
  pen.textAlign = "left";
  pen.fillText(label, 0, top + 12);
  pen.fillStyle = colours.muted;
  pen.fillText(`max ${whole(series.max)}`, 0, top + 27);
}

/** A bar's name where there is room for some of it; on a pattern it needs a plate to be read. */
function drawLabel(scene, job, x, y, width, height) {
  const { pen, colours, model } = scene;
  if (width < LABEL_WIDTH_MIN || height < LABEL_HEIGHT_MIN) return;
  const text = model.jobs.name[job];
  const full = pen.measureText(text).width;
  const room = width - 8;
  const label = full > room ? `${text.slice(0, Math.max(0, Math.floor((room / full) * text.length) - 1))}…` : text;
  if (label.length < 3) return;
  const isPatterned = isBad(model.jobs, job) || isStriped(model.jobs.family[job]);
  if (isPatterned) {
    pen.fillStyle = colours.surface;
    pen.fillRect(x + 2, y + 3, Math.min(full, room) + 4, height - 8);
  }
  pen.fillStyle = isPatterned ? colours.ink : inkOn(familyColour(model.jobs.family[job]));
  pen.fillText(label, x + 4, y + height / 2 - 1);
}

/** What of a bar is not the guest's own time is paler. */
function drawPhases(scene, job, x, y, width, height) {
  const phases = scene.model.jobs.phases[job];
  if (!phases) return;
  const sum = phases.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) return;
  scene.pen.fillStyle = "rgba(255,255,255,0.5)";
  let at = x;
  phases.forEach((phase, k) => {
    const part = (phase / sum) * width;
    if (PHASES[k] !== "execute" && part >= 0.5) scene.pen.fillRect(at, y, part, height);
    at += part;
  });
}

function drawBar(scene, job, x, y, width, height) {
  const { pen, colours, model } = scene;
  if (isBad(model.jobs, job)) {
    pen.fillStyle = width < 3 ? colours.bad : stripes(scene, colours.surface, colours.bad);
    pen.fillRect(x, y, Math.max(2, width), height);
    pen.strokeStyle = colours.bad;
    pen.lineWidth = 1.5;
    if (width >= 3) pen.strokeRect(x + 0.75, y + 0.75, width - 1.5, height - 1.5);
  } else {
    pen.fillStyle = familyPaint(scene, model.jobs.family[job]);
    pen.fillRect(x, y, width, height);
    if (width >= PHASE_WIDTH_MIN) drawPhases(scene, job, x, y + height - 4, width, 4);
  }
  drawLabel(scene, job, x, y, width, height);
}

/** Bars that lie wholly on pixels which are painted already add nothing and are passed over, unless they failed. */
function drawBars(scene, lane, index) {
  const { jobs } = scene.model;
  const { from, to } = scene.view;
  const y = laneTop(scene, index) + 1;
  const height = scene.rowHeight - 2;
  let painted = -1;
  let k = Math.max(0, lastAtMost(lane.barStarts, from - lane.longestUs));
  const late = [];
  for (; k < lane.bars.length && lane.barStarts[k] < to; k++) {
    const job = lane.bars[k];
    if (jobs.end[job] < from) continue;
    if (isBad(jobs, job)) {
      late.push(job);
      continue;
    }
    const x = timeToX(scene, jobs.start[job]);
    const end = timeToX(scene, jobs.end[job]);
    if (Math.ceil(end) <= painted && end - x < 2) continue;
    paintOne(scene, job, x, end, y, height);
    painted = Math.ceil(Math.max(end, x + 1));
  }
  for (const job of late) {
    paintOne(scene, job, timeToX(scene, jobs.start[job]), timeToX(scene, jobs.end[job]), y, height);
  }
}

/** While the critical path is shown, the rest steps back. */
function opacity(scene, job) {
  return scene.critical && !scene.model.critical.on[job] ? 0.22 : 1;
}

function paintOne(scene, job, x, end, y, height) {
  const left = Math.max(x, scene.gutter - 2);
  const right = Math.min(Math.max(end, x + 1), scene.width + 2);
  // A hair of space keeps neighbours apart where there is room for it.
  const gap = right - left > 4 ? 0.6 : 0;
  scene.pen.globalAlpha = opacity(scene, job);
  drawBar(scene, job, left, y, right - left - gap, height);
  scene.pen.globalAlpha = 1;
}

function drawTicks(scene, lane, index) {
  const { pen, colours, view, model } = scene;
  const top = laneTop(scene, index);
  let painted = -1;
  for (let k = Math.max(0, lastAtMost(lane.tickTimes, view.from)); k < lane.ticks.length; k++) {
    if (lane.tickTimes[k] > view.to) break;
    const x = Math.round(timeToX(scene, lane.tickTimes[k]));
    if (x === painted || x < scene.gutter) continue;
    painted = x;
    const job = lane.ticks[k];
    pen.globalAlpha = opacity(scene, job);
    const isHit = model.jobs.cached[job] === 1;
    pen.fillStyle = isBad(model.jobs, job) ? colours.bad : isHit ? familyColour(model.jobs.family[job]) : colours.muted;
    const height = Math.round(scene.rowHeight * (isHit ? 0.5 : 0.3));
    pen.fillRect(x, top + scene.rowHeight - 2 - height, 1.5, height);
  }
  pen.globalAlpha = 1;
}

function drawLanes(scene) {
  const { pen, colours } = scene;
  pen.font = FONT;
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  scene.lanes.forEach((lane, index) => {
    const top = laneTop(scene, index);
    pen.fillStyle = colours.sunken;
    if (index % 2 === 0) pen.fillRect(scene.gutter, top, scene.width - scene.gutter, scene.rowHeight);
    if (scene.rowHeight >= 12 || index % 4 === 0) {
      pen.fillStyle = colours.muted;
      pen.fillText(lane.label, 0, top + scene.rowHeight / 2);
    }
  });
  pen.save();
  pen.beginPath();
  pen.rect(scene.gutter, LANES_TOP, scene.width - scene.gutter, scene.height);
  pen.clip();
  scene.lanes.forEach((lane, index) => {
    drawBars(scene, lane, index);
    drawTicks(scene, lane, index);
  });
  if (scene.critical) drawCriticalPath(scene);
  if (scene.hover >= 0 && scene.hover !== scene.selected) drawFrame(scene, scene.hover, scene.colours.ink, 1.5);
  if (scene.selected >= 0) drawFrame(scene, scene.selected, scene.colours.accent, 2.5);
  pen.restore();
}

function drawFrame(scene, job, colour, width) {
  const lane = scene.laneOf[job];
  const { jobs } = scene.model;
  if (lane < 0) return;
  const start = momentOf(jobs, job);
  const x = timeToX(scene, start);
  const end = isBar(jobs, job) ? timeToX(scene, jobs.end[job]) : x + 2;
  if (end < scene.gutter || x > scene.width) return;
  scene.pen.strokeStyle = colour;
  scene.pen.lineWidth = width;
  scene.pen.strokeRect(x - 1, laneTop(scene, lane), Math.max(3, end - x) + 1.5, scene.rowHeight);
}

/** The chain as a line from the end of each of its jobs to the start of the next one. */
function drawCriticalPath(scene) {
  const { pen, model } = scene;
  const steps = model.critical.steps.filter(({ job }) => scene.laneOf[job] >= 0);
  pen.strokeStyle = scene.colours.path;
  pen.lineWidth = 1.5;
  pen.beginPath();
  steps.forEach(({ job }, k) => {
    const y = laneTop(scene, scene.laneOf[job]) + scene.rowHeight / 2;
    const x = timeToX(scene, momentOf(model.jobs, job));
    if (k > 0) pen.lineTo(x, y);
    pen.moveTo(timeToX(scene, model.jobs.end[job]), y);
  });
  pen.stroke();
  const framed = steps.slice(0, CRITICAL_FRAMES_MAX);
  for (const { job } of framed) drawFrame(scene, job, scene.colours.path, 1.5);
}

function drawTimeline(scene) {
  scene.pen.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
  scene.pen.clearRect(0, 0, scene.width, scene.height);
  drawAxis(scene);
  drawStrip(scene, AXIS_HEIGHT, scene.series.running, "running", scene.colours.run);
  drawStrip(scene, AXIS_HEIGHT + STRIP_HEIGHT + STRIP_GAP, scene.series.waiting, "waiting", scene.colours.wait);
  drawLanes(scene);
}

/** The whole run, small, with the part that is in view. */
function drawOverview(scene, pen, height) {
  const { colours, series, fullUs } = scene;
  const width = scene.width - scene.gutter;
  pen.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = colours.sunken;
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = colours.run;
  for (let x = 0; x < width; x++) {
    const mean = meanBetween(series.running, (x / width) * fullUs, ((x + 1) / width) * fullUs);
    const bar = (mean / Math.max(1, series.running.max)) * (height - 4);
    pen.fillRect(x, height - bar, 1, bar);
  }
  const left = (scene.view.from / fullUs) * width;
  const right = (scene.view.to / fullUs) * width;
  pen.fillStyle = colours.surface;
  pen.globalAlpha = 0.7;
  pen.fillRect(0, 0, left, height);
  pen.fillRect(right, 0, width - right, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.accent;
  pen.lineWidth = 2;
  pen.strokeRect(Math.max(1, left), 1, Math.max(3, Math.min(right, width - 1) - Math.max(1, left)), height - 2);
}
