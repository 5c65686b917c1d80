// Owns: making elements. Texts become text nodes, always: no markup is ever made from data.
// Does not know: what is shown.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function make(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function makeSvg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function byId(id) {
  return document.getElementById(id);
}

/** Texts of ours have `names` in backticks; they become code. */
function withCode(text) {
  return text.split("`").map((part, i) => (i % 2 === 1 ? make("code", null, part) : part));
}

function button(label, title, onclick) {
  return make("button", { type: "button", class: "button", title, "aria-label": title, onclick }, label);
}

function swatch(family) {
  return make("span", {
    class: isStriped(family) ? "swatch striped" : "swatch",
    "--colour": familyColour(family),
    "aria-hidden": "true",
  });
}

const STATUS_SIGNS = { succeeded: "✓", failed: "✕", error: "!", skipped: "⤼", cancelled: "⊘", omitted: "◌" };

function statusBadge(status) {
  const known = STATUSES.includes(status);
  return make(
    "span",
    { class: `status ${known ? status : ""}` },
    make("span", { class: "sign", "aria-hidden": "true" }, known ? STATUS_SIGNS[status] : "?"),
    status || "unknown",
  );
}

/** A link to a job that works with a click, with the keyboard, and as an address. */
function jobLink(model, job) {
  const name = model.jobs.name[job];
  return make(
    "a",
    {
      href: hashWith({ job }),
      class: "name",
      title: name,
      onclick: (event) => followInPlace(event, { job }),
    },
    name || "(no name)",
  );
}

function filterLink(label, filter, attributes) {
  const change = { filter, section: "jobs" };
  return make("a", { ...attributes, href: hashWith(change), onclick: (event) => followInPlace(event, change) }, label);
}

/** Columns: {title, note, number, cell(row)}. */
function plainTable(caption, columns, rows) {
  const head = columns.map((c) =>
    make("th", { scope: "col", class: c.number ? "number" : null, title: c.note }, c.title),
  );
  const body = rows.map((row) =>
    make(
      "tr",
      null,
      columns.map((c) => make("td", { class: c.number ? "number" : null }, c.cell(row))),
    ),
  );
  return make(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make(
      "table",
      null,
      make("caption", { class: "unseen" }, caption),
      make("thead", null, make("tr", null, head)),
      make("tbody", null, body),
    ),
  );
}

function shareBar(share, title) {
  const part = Number.isFinite(share) ? Math.max(0, Math.min(1, share)) : 0;
  return make("span", { class: "share", title, "--part": `${(part * 100).toFixed(2)}%` });
}

/** Shows the tip near a point of the window, where there is room. */
function showTip(x, y, ...children) {
  const tip = byId("tip");
  tip.replaceChildren(...children);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? Math.max(4, x - width - 14) : x + 14;
  const top = y + 14 + height > innerHeight ? Math.max(4, y - height - 14) : y + 14;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

function hideTip() {
  byId("tip").hidden = true;
}
