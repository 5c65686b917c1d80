// Owns: what is selected, filtered, sorted and zoomed, and its place in the address (`#jobs?filter=…&job=12`).
// Does not know: how it is shown.

const DEFAULTS = Object.freeze({
  section: "",
  job: -1,
  filter: "",
  sort: "",
  from: NaN,
  to: NaN,
  critical: false,
  open: "",
});
let state = { ...DEFAULTS };
const watchers = [];

function parseHash(hash) {
  const [section, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const values = new URLSearchParams(query);
  const number = (name, missing) => (/^\d+$/.test(values.get(name) ?? "") ? Number(values.get(name)) : missing);
  return {
    section,
    job: number("job", -1),
    filter: values.get("filter") ?? "",
    sort: values.get("sort") ?? "",
    from: number("from", NaN),
    to: number("to", NaN),
    critical: values.get("critical") === "1",
    open: values.get("open") ?? "",
  };
}

function formatHash(of) {
  const values = new URLSearchParams();
  if (of.filter) values.set("filter", of.filter);
  if (of.sort) values.set("sort", of.sort);
  if (Number.isFinite(of.from) && Number.isFinite(of.to)) {
    values.set("from", String(Math.round(of.from)));
    values.set("to", String(Math.round(of.to)));
  }
  if (of.critical) values.set("critical", "1");
  if (of.open) values.set("open", of.open);
  if (of.job >= 0) values.set("job", String(of.job));
  const query = values
    .toString()
    .replaceAll("%3A", ":")
    .replaceAll("%2C", ",")
    .replaceAll("%5B", "[")
    .replaceAll("%5D", "]");
  return `#${of.section}${query ? `?${query}` : ""}`;
}

function hashWith(change) {
  return formatHash({ ...state, ...change });
}

/** `watch` is called with what changed: an object that has the old values of the changed names. */
function onChange(watch) {
  watchers.push(watch);
}

function apply(next) {
  const old = {};
  for (const name of Object.keys(DEFAULTS)) {
    if (!Object.is(next[name], state[name])) old[name] = state[name];
  }
  state = next;
  if (Object.keys(old).length > 0) watchers.forEach((watch) => watch(old));
}

let writing = 0;

/** Browsers limit how often an address may change, so what changes while one drags is written once it rests. */
function writeHash(asStep) {
  clearTimeout(writing);
  const write = () => {
    try {
      history[asStep ? "pushState" : "replaceState"](null, "", formatHash(state));
    } catch {
      // A frame that may not change its address still works, without links to share.
    }
  };
  if (asStep) write();
  else writing = setTimeout(write, 150);
}

/** Changes the state. Where one goes (a section, a job) is a step for the browser's back button. */
function setState(change) {
  const asStep = ("job" in change && change.job !== state.job) || "section" in change;
  apply({ ...state, ...change });
  writeHash(asStep);
  if ("section" in change) scrollToSection(change.section);
}

function scrollToSection(section) {
  byId(section)?.scrollIntoView({ block: "start" });
}

function followInPlace(event, change) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0) return;
  event.preventDefault();
  setState(change);
}

function readAddress() {
  clearTimeout(writing);
  const old = state.section;
  apply(parseHash(location.hash));
  if (state.section !== old) scrollToSection(state.section);
}
