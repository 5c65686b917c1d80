"use strict";
const table = document.getElementById("crates");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
const value = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.by === undefined ? cell.textContent : Number(cell.dataset.by);
};
heads.forEach((head, column) => {
  head.firstChild.addEventListener("click", () => {
    const numeric = head.classList.contains("number");
    // Numbers are first wanted from the largest, texts from the letter A.
    const down = head.ariaSort ? head.ariaSort === "ascending" : numeric;
    const compare = numeric
      ? (a, b) => value(a, column) - value(b, column)
      : (a, b) => value(a, column).localeCompare(value(b, column), "en", { numeric: true });
    const rows = [...body.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  });
});
const filter = document.getElementById("filter");
const show = () => {
  const words = filter.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = `${shown} of ${body.rows.length}`;
};
filter.addEventListener("input", show);
show();
