// Owns: what the filter box understands, and in which order jobs are shown.
// Does not know: how they are shown.

/** Splits at spaces, but not within quotes; `\"` stands for a quote. */
function splitTerms(text) {
  return text.match(/(?:[^\s"]|"(?:\\.|[^"\\])*"?)+/g) ?? [];
}

function unquoted(text) {
  return text.replace(/"((?:\\.|[^"\\])*)"?/g, (_, inner) => inner.replace(/\\(.)/g, "$1"));
}

function quoted(text) {
  return /^[^\s"\\]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Which of `names` are meant by `text`: the one that is equal, else all that contain it. */
function meant(names, text) {
  const lower = names.map((name) => name.toLowerCase());
  const exact = lower.includes(text);
  return lower.map((name) => (exact ? name === text : name.includes(text)));
}

const YES = ["yes", "1", "true", "y"];

const FILTER_KEYS = {
  status: (model, text) => {
    const is = meant(STATUSES, text);
    return (i) => is[STATUSES.indexOf(model.jobs.status[i])] ?? false;
  },
  family: (model, text) => {
    const is = meant(model.families, text);
    return (i) => is[model.jobs.family[i]];
  },
  why: (model, text) => {
    const is = meant(model.whys, text);
    return (i) => is[model.jobs.why[i]] ?? false;
  },
  cached: (model, text) => (i) => (model.jobs.cached[i] === 1) === YES.includes(text),
  critical: (model, text) => (i) => (model.critical.on[i] === 1) === YES.includes(text),
  worker: (model, text) => (i) => String(model.jobs.worker[i]) === text,
};

function termTest(model, term) {
  const [, key, rest] = /^([a-z]+):(.*)$/is.exec(term) ?? [];
  const known = key !== undefined && Object.hasOwn(FILTER_KEYS, key.toLowerCase());
  if (known) return FILTER_KEYS[key.toLowerCase()](model, unquoted(rest).toLowerCase());
  const text = unquoted(term).toLowerCase();
  return (i) => model.jobs.name[i].toLowerCase().includes(text);
}

/** The jobs for which every term of `filter` holds. */
function filterJobs(model, filter) {
  const tests = splitTerms(filter).map((term) => termTest(model, term));
  const found = [];
  for (let i = 0; i < model.jobs.n; i++) {
    if (tests.every((test) => test(i))) found.push(i);
  }
  return found;
}

/** The rank of each text among all, with numbers in them by their value: `scan[9]` comes before `scan[10]`. */
function ranks(values) {
  const { compare } = new Intl.Collator("en", { numeric: true });
  const order = values.map((_, i) => i).sort((a, b) => compare(values[a], values[b]));
  const out = new Float64Array(values.length);
  let rank = -1;
  order.forEach((i, k) => {
    if (k === 0 || values[order[k - 1]] !== values[i]) rank++;
    out[i] = rank;
  });
  return out;
}

/** Sorts in place by a column of numbers; what has no number comes last either way. */
function sortJobs(found, keys, descending) {
  const sign = descending ? -1 : 1;
  return found.sort((a, b) => {
    const [x, y] = [keys[a], keys[b]];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
    return sign * (x - y) || a - b;
  });
}
