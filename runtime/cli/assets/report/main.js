// Owns: putting the page together once, in the order in which it is read.
// Does not know: what any section shows.

function readData() {
  const text = byId("data").textContent;
  try {
    return JSON.parse(text);
  } catch (error) {
    byId("main").append(make("p", { class: "complaint" }, `The data of this report cannot be read: ${error.message}`));
    return null;
  }
}

function renderSections(sections) {
  byId("main").replaceChildren(
    ...sections.map(({ id, title, body }) =>
      make("section", { id, "aria-labelledby": `${id}-title` }, make("h2", { id: `${id}-title` }, title), body),
    ),
  );
  for (const { mounted } of sections) mounted?.();
}

/** Paper is light, and cannot be scrolled. */
function listenToPrinting(sections, restyle) {
  const root = document.documentElement;
  let theme;
  addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    sections.forEach(({ printing }) => printing?.(true));
    restyle();
  });
  addEventListener("afterprint", () => {
    if (theme === undefined) delete root.dataset.theme;
    else root.dataset.theme = theme;
    sections.forEach(({ printing }) => printing?.(false));
    restyle();
  });
}

function renderPage() {
  recallTheme();
  const raw = readData();
  if (raw === null) return;
  const model = readModel(raw);
  state = parseHash(location.hash);
  const timeline = timelineSection(model);
  const sections = [
    adviceSection(model),
    timeline,
    graphSection(model),
    criticalSection(model),
    jobsSection(model),
    distributionsSection(model),
    whySection(model),
    slaSection(model),
    environmentSection(model),
  ].filter(Boolean);
  const restyle = () => timeline.restyle?.();
  renderHead(model, restyle);
  // The panel takes room from the sections, so it is there before they measure theirs.
  mountDetails(model, (job) => timeline.show?.(job));
  renderSections(sections);
  renderNav(sections);
  listenToPrinting(sections, restyle);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  for (const event of ["popstate", "hashchange"]) addEventListener(event, readAddress);
  if (state.section) scrollToSection(state.section);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

renderPage();
