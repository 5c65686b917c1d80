// Owns: the panel with everything that is known of the selected job.
// Does not know: where the job was selected.

const LINKS_MAX = 30;

function phaseBar(phases) {
  const sum = phases.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) return null;
  return make(
    "div",
    { class: "phases", "aria-hidden": "true" },
    phases.map((us, k) =>
      make("span", {
        class: PHASES[k],
        "--part": `${((us / sum) * 100).toFixed(2)}%`,
        title: `${PHASES[k]}: ${duration(us)}`,
      }),
    ),
  );
}

function factList(rows) {
  return make(
    "dl",
    { class: "facts" },
    rows.map(([name, value, note]) => [make("dt", { title: note }, name), make("dd", null, value)]),
  );
}

function timeFacts(jobs, i) {
  const before = jobs.cached[i] ? "when it was executed" : "of the attempt";
  return [
    ["Wall time", duration(jobs.wall[i]), before],
    ["CPU time", duration(jobs.cpu[i]), before],
    ["Ready", duration(jobs.ready[i]), "after the start of the run: its inputs were there"],
    ["Start", duration(jobs.start[i]), "a worker took it"],
    ["End", duration(jobs.end[i]), "its outcome was known"],
    ["Waited", duration(jobs.wait[i]), "from ready to start"],
    [
      "Slack",
      Number.isNaN(jobs.slack[i]) ? "unknown" : jobs.slack[i] === 0 ? "none" : duration(jobs.slack[i]),
      "how much later it could have ended without making the run longer",
    ],
  ];
}

function otherFacts(model, i) {
  const { jobs } = model;
  return [
    ["Memory", bytes(jobs.memory[i]), "the most that it had at once"],
    ["Read", bytes(jobs.read[i])],
    ["Written", bytes(jobs.written[i])],
    ["Worker", jobs.worker[i] < 0 ? "none" : String(jobs.worker[i])],
    ["Attempts", whole(jobs.attempts[i])],
    ["Why", whyOf(model, i) || NOTHING, "why it was executed, or that it was not"],
  ];
}

function linkList(model, title, found, count) {
  const items = found.map((job) => make("li", null, jobLink(model, job)));
  if (count > found.length) items.push(make("li", { class: "muted" }, `… ${whole(count - found.length)} more`));
  return [
    make("h3", null, `${title} (${whole(count)})`),
    count > 0 ? make("ul", { class: "links" }, items) : make("p", { class: "muted" }, "none"),
  ];
}

function detailsHead(model, job, actions) {
  const { jobs } = model;
  return make(
    "div",
    { class: "details-head" },
    make("h2", { class: "name" }, jobs.name[job] || "(no name)"),
    make(
      "p",
      { class: "badges" },
      statusBadge(jobs.status[job]),
      jobs.cached[job] ? make("span", { class: "tag" }, "cached") : null,
      model.critical.on[job] ? make("span", { class: "tag path" }, "critical path") : null,
      make(
        "span",
        { class: "tag" },
        swatch(jobs.family[job]),
        filterLink(model.families[jobs.family[job]], `family:${quoted(model.families[jobs.family[job]])}`, {
          class: "name",
        }),
      ),
    ),
    make("div", { class: "tools" }, actions),
  );
}

function renderDetails(model, panel, show) {
  const { job } = state;
  const known = job >= 0 && job < model.jobs.n;
  panel.hidden = !known;
  document.body.classList.toggle("has-details", known);
  if (!known) return;
  const { jobs } = model;
  const dependants = firstDependants(jobs, job, LINKS_MAX);
  const actions = [
    momentOf(jobs, job) >= 0 ? button("Timeline", "Show in the timeline", () => show(job)) : null,
    button("Graph", "Show what it needs and what needs it", () => setState({ section: "around" })),
    button("Close", "Close (Esc)", () => setState({ job: -1 })),
  ];
  const phases = jobs.phases[job];
  panel.replaceChildren(
    ...[
      detailsHead(model, job, actions),
      jobs.error[job] ? make("pre", { class: "complaint" }, jobs.error[job]) : null,
      factList(timeFacts(jobs, job)),
      ...(phases
        ? [
            make("h3", null, "Phases"),
            phaseBar(phases),
            factList(phases.map((us, k) => [PHASES[k], duration(us), PHASE_NOTES[k]])),
          ]
        : []),
      make("h3", null, "Everything else"),
      factList(otherFacts(model, job)),
      ...linkList(model, "Needs", firstNeeds(jobs, job, LINKS_MAX), countNeeds(jobs, job)),
      ...linkList(model, "Needed by", dependants.found, dependants.count),
    ].filter(Boolean),
  );
  panel.scrollTop = 0;
}

function mountDetails(model, show) {
  const panel = byId("details");
  renderDetails(model, panel, show);
  onChange((old) => {
    if ("job" in old) renderDetails(model, panel, show);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.job >= 0) setState({ job: -1 });
  });
}
