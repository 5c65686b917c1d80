// Owns: reading the data block into columns that can be trusted to exist, and what is counted from them once.
// Does not know: the page, units as people read them, what is selected.

// Guests choose names and errors. Control and format characters (bidi overrides among them) could make one
// text look like another, so they are shown as what they are: something that cannot be shown.
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const STATUSES = ["succeeded", "failed", "error", "skipped", "cancelled", "omitted"];

function shown(value) {
  return value === null || value === undefined ? "" : String(value).replace(UNSHOWABLE, "\uFFFD");
}

function list(value) {
  return Array.isArray(value) ? value : [];
}

/** A numeric column of length n; what is missing is NaN. */
function numbers(column, n) {
  const out = new Float64Array(n).fill(NaN);
  const values = list(column);
  for (let i = 0; i < n && i < values.length; i++) {
    if (typeof values[i] === "number") out[i] = values[i];
  }
  return out;
}

/** A column of indices below limit; what is missing or out of bounds is -1. */
function indices(column, n, limit) {
  const out = new Int32Array(n).fill(-1);
  const values = list(column);
  for (let i = 0; i < n && i < values.length; i++) {
    if (Number.isInteger(values[i]) && values[i] >= 0 && values[i] < limit) out[i] = values[i];
  }
  return out;
}

function texts(column, n) {
  const values = list(column);
  return Array.from({ length: n }, (_, i) => shown(values[i]));
}

function readJobs(raw, families, whys) {
  const n = list(raw.name).length;
  const jobs = {
    n,
    name: texts(raw.name, n),
    family: indices(raw.family, n, families),
    status: texts(raw.status, n),
    cached: Uint8Array.from({ length: n }, (_, i) => (list(raw.cached)[i] ? 1 : 0)),
    why: indices(raw.why, n, whys),
    ready: numbers(raw.ready_us, n),
    start: numbers(raw.start_us, n),
    end: numbers(raw.end_us, n),
    wall: numbers(raw.wall_us, n),
    cpu: numbers(raw.cpu_us, n),
    phases: Array.from({ length: n }, (_, i) => list(raw.phases_us)[i] ?? null),
    memory: numbers(raw.memory, n),
    read: numbers(raw.read, n),
    written: numbers(raw.written, n),
    worker: indices(raw.worker, n, 4096),
    attempts: numbers(raw.attempts, n),
    slack: numbers(raw.slack_us, n),
    needs: Array.from({ length: n }, (_, i) => list(list(raw.needs)[i])),
    error: texts(raw.error, n),
  };
  jobs.wait = jobs.start.map((start, i) => Math.max(0, start - jobs.ready[i]));
  return jobs;
}

/** Whether a worker did the job's work in this run, whatever came of it. */
function wasExecuted(jobs, i) {
  const status = jobs.status[i];
  return !jobs.cached[i] && (status === "succeeded" || status === "failed" || status === "error");
}

function isBad(jobs, i) {
  return jobs.status[i] === "failed" || jobs.status[i] === "error";
}

function familyFigures(jobs, families) {
  const rows = families.map((name, family) => ({
    family,
    name,
    jobs: 0,
    executed: 0,
    cached: 0,
    failed: 0,
    totalUs: 0,
    members: [],
    durations: [],
  }));
  for (let i = 0; i < jobs.n; i++) {
    const row = rows[jobs.family[i]];
    row.jobs++;
    row.members.push(i);
    if (jobs.cached[i]) row.cached++;
    if (isBad(jobs, i)) row.failed++;
    if (!wasExecuted(jobs, i)) continue;
    row.executed++;
    if (Number.isNaN(jobs.wall[i])) continue;
    row.durations.push(jobs.wall[i]);
    row.totalUs += jobs.wall[i];
  }
  for (const row of rows) row.durations.sort((a, b) => a - b);
  return rows;
}

/** Jobs without a family get one of their own kind, so that nothing else has to ask. */
function giveFamily(jobs, families, needs) {
  if (!jobs.family.includes(-1)) return;
  families.push("(none)");
  needs.push([]);
  jobs.family = jobs.family.map((family) => (family === -1 ? families.length - 1 : family));
}

function readCritical(raw, n) {
  const path = list(raw?.path);
  const whatif = list(raw?.whatif_us);
  const steps = path.map((job, i) => ({ job, whatifUs: whatif[i] ?? NaN }));
  const critical = { steps: steps.filter(({ job }) => job >= 0 && job < n), lengthUs: raw?.length_us ?? NaN };
  critical.on = new Uint8Array(n);
  for (const { job } of critical.steps) critical.on[job] = 1;
  return critical;
}

function readAdvice(raw, n) {
  return list(raw).map((one) => ({
    title: shown(one.title),
    figure: shown(one.figure),
    change: shown(one.change),
    jobs: list(one.jobs).filter((job) => job >= 0 && job < n),
  }));
}

function readRun(raw) {
  const run = raw ?? {};
  return {
    id: run.id ?? null,
    plan: shown(run.plan),
    started: shown(run.started),
    verdict: shown(run.verdict),
    success: run.success ?? null,
    savedUs: (run.saved_ns ?? NaN) / 1000,
    wallUs: (run.wall_ns ?? NaN) / 1000,
  };
}

function latestEnd(jobs) {
  let latest = 0;
  for (let i = 0; i < jobs.n; i++) {
    if (jobs.end[i] > latest) latest = jobs.end[i];
  }
  return latest;
}

function readModel(raw) {
  const families = list(raw.families).map(shown);
  const familyNeeds = families.map((_, i) => list(list(raw.family_needs)[i]).filter((f) => f in families));
  const whys = list(raw.whys).map(shown);
  const jobs = readJobs(raw.jobs ?? {}, families.length, whys.length);
  giveFamily(jobs, families, familyNeeds);
  return {
    run: readRun(raw.run),
    figures: list(raw.figures).map((f) => ({ name: shown(f.name), value: shown(f.value), note: shown(f.note) })),
    environment: list(raw.environment).map(([name, value]) => [shown(name), shown(value)]),
    advice: readAdvice(raw.advice, jobs.n),
    families,
    familyNeeds,
    whys,
    jobs,
    familyRows: familyFigures(jobs, families),
    critical: readCritical(raw.critical, jobs.n),
    workers: list(raw.workers),
    slas: list(raw.slas).filter((sla) => sla.job >= 0 && sla.job < jobs.n),
    horizonUs: latestEnd(jobs),
  };
}

function countNeeds(jobs, job) {
  return jobs.needs[job].reduce((sum, [, count]) => sum + count, 0);
}

/** The first `limit` jobs that `job` waited for. */
function firstNeeds(jobs, job, limit) {
  const found = [];
  for (const [first, count] of jobs.needs[job]) {
    for (let i = first; i < first + count && found.length < limit; i++) {
      if (i >= 0 && i < jobs.n) found.push(i);
    }
  }
  return found;
}

/** The first `limit` jobs that waited for `job`, and how many there are. Ranges are not unfolded: a plan of
    10,000 jobs can have millions of edges. */
function firstDependants(jobs, job, limit) {
  const found = [];
  let count = 0;
  for (let i = 0; i < jobs.n; i++) {
    if (!jobs.needs[i].some(([first, length]) => job >= first && job < first + length)) continue;
    count++;
    if (found.length < limit) found.push(i);
  }
  return { found, count };
}
