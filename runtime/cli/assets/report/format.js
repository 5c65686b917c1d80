// Owns: numbers, times, bytes and colours as people read them.
// Does not know: jobs, the page.

const NOTHING = "–";
const PHASES = ["resolve", "prepare", "execute", "store"];
const PHASE_NOTES = ["reading inputs, looking up", "compiling the module", "executing the guest", "storing outputs"];
const MINUTE_US = 60e6;
const HOUR_US = 3600e6;

function significant(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

function two(value) {
  return String(value).padStart(2, "0");
}

function duration(us) {
  if (!Number.isFinite(us)) return NOTHING;
  if (us < 999.5) return `${us < 10 && us % 1 ? us.toFixed(1) : Math.round(us)} µs`;
  if (us < 999.5e3) return `${significant(us / 1e3)} ms`;
  if (us < MINUTE_US) return `${significant(us / 1e6)} s`;
  const seconds = Math.round(us / 1e6);
  if (us < HOUR_US) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} m`;
}

function bytes(count) {
  if (!Number.isFinite(count)) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1023.5 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(count) : significant(count)} ${units[unit]}`;
}

function whole(count) {
  return Number.isFinite(count) ? String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",") : NOTHING;
}

function plural(count, word) {
  return `${whole(count)} ${word}${count === 1 ? "" : "s"}`;
}

function percent(share) {
  if (!Number.isFinite(share)) return NOTHING;
  const value = share * 100;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

function quantile(sorted, q) {
  if (sorted.length === 0) return NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

/** The distance between ticks of an axis of `spanUs` with about `count` of them. */
function tickStep(spanUs, count) {
  const rough = spanUs / Math.max(1, count);
  if (rough > 30e6) {
    const steps = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400].map((s) => s * 1e6);
    return steps.find((step) => step >= rough) ?? Math.ceil(rough / 86400e6) * 86400e6;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= rough * 0.999);
}

/** A tick's label has as many digits as tell it from its neighbours. */
function tickLabel(us, stepUs) {
  if (us === 0) return "0";
  if (stepUs >= MINUTE_US) return duration(us).replace(" 00 s", "").replace(" 00 m", "");
  if (us >= MINUTE_US && stepUs >= 1e6) return duration(us);
  const [unitUs, unit] = stepUs >= 1e5 ? [1e6, "s"] : stepUs >= 100 ? [1e3, "ms"] : [1, "µs"];
  const digits = Math.max(0, -Math.floor(Math.log10(stepUs / unitUs) + 1e-9));
  return `${(us / unitUs).toFixed(digits)} ${unit}`;
}

// Eight colours that stay apart for the usual kinds of colour blindness (after Okabe and Ito, without their red:
// that is for what failed). After eight families they come again with stripes.
const FAMILY_COLOURS = ["#3d66ab", "#ee9a26", "#1e986b", "#e8a5b4", "#55c3ea", "#8f4a28", "#c2c766", "#7a55dc"];

function familyColour(family) {
  return FAMILY_COLOURS[family % FAMILY_COLOURS.length];
}

function isStriped(family) {
  return Math.floor(family / FAMILY_COLOURS.length) % 2 === 1;
}

/** Black or white, whichever is read better on the colour `#rrggbb`. */
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}
