// Owns: who did what when: the lanes of the timeline, and how many jobs ran or waited at each moment.
// Does not know: pixels, colours.

/** A step function of time as its steps, with its integral at each of them, so that its mean over any interval
    costs two binary searches whatever the zoom. */
function stepSeries(starts, ends, n) {
  let count = 0;
  for (let i = 0; i < n; i++) if (ends[i] > starts[i]) count++;
  const ups = new Float64Array(count);
  const downs = new Float64Array(count);
  for (let i = 0, k = 0; i < n; i++) {
    if (!(ends[i] > starts[i])) continue;
    ups[k] = starts[i];
    downs[k++] = ends[i];
  }
  // Up and down are sorted apart, as typed arrays are by far the fastest to sort, and merged.
  ups.sort();
  downs.sort();
  const times = new Float64Array(2 * count);
  const values = new Int32Array(times.length);
  const integral = new Float64Array(times.length);
  let up = 0;
  let down = 0;
  let max = 0;
  for (let k = 0; k < times.length; k++) {
    // Of one moment ends come first: who takes over from another does not run beside it.
    times[k] = up < count && ups[up] < downs[down] ? ups[up++] : downs[down++];
    if (k > 0) integral[k] = integral[k - 1] + values[k - 1] * (times[k] - times[k - 1]);
    values[k] = up - down;
    max = Math.max(max, values[k]);
  }
  return { times, values, integral, max };
}

/** The index of the last of `sorted` that is at most `value`, or -1. */
function lastAtMost(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function integralAt(series, time) {
  const k = lastAtMost(series.times, time);
  return k < 0 ? 0 : series.integral[k] + series.values[k] * (time - series.times[k]);
}

function meanBetween(series, from, to) {
  return (integralAt(series, to) - integralAt(series, from)) / (to - from);
}

function valueAt(series, time) {
  const k = lastAtMost(series.times, time);
  return k < 0 ? 0 : series.values[k];
}

/** Work is a bar; what only happened (a hit of the cache, a job passed over) is a tick. */
function isBar(jobs, i) {
  return !jobs.cached[i] && jobs.worker[i] >= 0 && jobs.end[i] > jobs.start[i];
}

function momentOf(jobs, i) {
  return Number.isNaN(jobs.start[i]) ? jobs.end[i] : jobs.start[i];
}

function makeLane(label) {
  return { label, bars: [], ticks: [], barStarts: null, tickTimes: null, longestUs: 0 };
}

/** One lane for each worker, and one more for what no worker had, if there is any. */
function makeLanes(model) {
  const { jobs } = model;
  const workers = jobs.worker.reduce((most, worker) => Math.max(most, worker + 1), 0);
  const lanes = Array.from({ length: workers }, (_, worker) => makeLane(`worker ${worker}`));
  const nobody = makeLane("no worker");
  for (let i = 0; i < jobs.n; i++) {
    const moment = momentOf(jobs, i);
    if (Number.isNaN(moment)) continue;
    const lane = lanes[jobs.worker[i]] ?? nobody;
    (isBar(jobs, i) ? lane.bars : lane.ticks).push(i);
    if (isBar(jobs, i)) lane.longestUs = Math.max(lane.longestUs, jobs.end[i] - jobs.start[i]);
  }
  if (nobody.ticks.length > 0) lanes.push(nobody);
  for (const lane of lanes) {
    const byMoment = (a, b) => momentOf(jobs, a) - momentOf(jobs, b);
    lane.bars.sort(byMoment);
    lane.ticks.sort(byMoment);
    lane.barStarts = Float64Array.from(lane.bars, (i) => jobs.start[i]);
    lane.tickTimes = Float64Array.from(lane.ticks, (i) => momentOf(jobs, i));
  }
  return lanes;
}

function makeSeries(model) {
  const { jobs } = model;
  const ran = jobs.start.map((start, i) => (jobs.worker[i] >= 0 ? start : NaN));
  return { running: stepSeries(ran, jobs.end, jobs.n), waiting: stepSeries(jobs.ready, jobs.start, jobs.n) };
}
