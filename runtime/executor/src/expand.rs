//! From a plan to its graph: items, names, edges.
//!
//! Owns: making the jobs of a plan's entries, and finding the jobs that inputs refer to; for whole plans, and for what is added to a
//! graph during a run. Does not know: what must hold between them (`checks`), what the inputs hold, or when jobs are added.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use wasmill_model::plan::{Bindings, Diagnostic, InputSource, JobSpec, Plan, Span, Stdin, Template};

use crate::checks::check;
use crate::graph::{Entry, Graph, Job, JobId, Role, Scope, Upstream, nearest};
use crate::items::{HostLists, combine, values_before, values_of};

/// Most jobs that a plan may expand to; a slip in a glob should not eat the machine.
pub(crate) const JOBS_MAX: usize = 4_000_000;

/// Of how many jobs one is looked for that is spelled like another.
const SUGGESTED_MAX: usize = 2_000;

/// Most edges between jobs that come to be at once: each takes 16 bytes, and a few bytes of a plan can ask for many.
const EDGES_MAX: usize = 4_000_000;

/// Expands a plan whose relative paths start from `base`.
///
/// # Errors
/// Everything that is wrong: items that cannot be read, two items or jobs of one name, references to jobs that
/// are not there, cycles, two jobs that save to one path.
pub fn expand(plan: Plan, base: &Path) -> Result<Graph, Vec<Diagnostic>> {
    expand_with(plan, base, HostLists::default())
}

/// The same, with lists that were read before.
pub(crate) fn expand_with(plan: Plan, base: &Path, mut lists: HostLists) -> Result<Graph, Vec<Diagnostic>> {
    let mut graph = Graph {
        name: plan.name,
        modules: plan.modules,
        resources: plan.resources,
        growth: plan.growth,
        grown: AtomicU64::new(0),
        saved: Mutex::default(),
        growing: Mutex::new(()),
        jobs: boxcar::Vec::new(),
        scopes: boxcar::Vec::new(),
        selected: None,
        asked_for: Vec::new(),
        written: None,
        lists: HostLists::default(),
        inputs_before: HashMap::new(),
        stdins_before: HashMap::new(),
        rest: None,
    };
    let scope = Scope {
        entries: Vec::new(),
        by_name: OnceLock::new(),
        base: base.to_owned(),
        prefix: String::new(),
        depth: 0,
        awaited: HashMap::new(),
        origin: None,
    };
    let specs = plan.jobs.into_iter().map(Arc::new).collect();
    let (fragment, scope) = expand_specs(&graph, specs, scope, JOBS_MAX, &mut lists)?;
    graph.lists = lists;
    graph.jobs.extend(fragment.jobs);
    graph.scopes.push(scope);
    Ok(graph)
}

/// Jobs that are to be added to a graph.
#[derive(Debug)]
pub(crate) struct Fragment {
    /// The id of the first.
    pub(crate) first: u32,
    pub(crate) jobs: Vec<Job>,
}

impl Fragment {
    fn of(graph: &Graph) -> Self {
        Self { first: id_of(graph.jobs.count()), jobs: Vec::new() }
    }

    pub(crate) fn next(&self) -> u32 {
        self.first.saturating_add(id_of(self.jobs.len()))
    }

    fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(id.0.checked_sub(self.first)? as usize)
    }

    /// Adds the jobs of an entry of which it is known what it comes to.
    fn add(&mut self, spec: &Arc<JobSpec>, items: Vec<(String, Bindings)>, prefix: &str, scope: u32) -> Range<u32> {
        let first = self.next();
        for (label, bindings) in items {
            let name = match spec.for_each.is_empty() {
                true => format!("{prefix}{}", spec.name.value),
                false => format!("{prefix}{}[{label}]", spec.name.value),
            };
            self.push(name, spec, bindings, Role::Execute { closer: None }, scope);
        }
        if spec.race.is_some() {
            let (judge, end) = (JobId(self.next()), JobId(self.next()));
            for job in self.jobs.iter_mut().skip((first - self.first) as usize) {
                job.role = Role::Candidate { judge };
            }
            let (name, role) = (format!("{prefix}{}", spec.name.value), Role::Judge { first: JobId(first), end });
            self.push(name, spec, Bindings::new(), role, scope);
        }
        first..self.next()
    }

    fn push(&mut self, name: String, spec: &Arc<JobSpec>, bindings: Bindings, role: Role, scope: u32) {
        let (spec, upstream, needs) = (Arc::clone(spec), Vec::new(), Vec::new());
        self.jobs.push(Job { name, spec, bindings, upstream, needs, role, scope, grown: OnceLock::new() });
    }

    /// Adds the nodes that close what some of its jobs open. Returns those whose results count.
    fn close(&mut self, jobs: Range<u32>) -> Range<u32> {
        let first = self.next();
        for id in jobs.clone() {
            let closer = JobId(self.next());
            let Some(job) = self.jobs.get_mut((id - self.first) as usize) else { continue };
            job.role = match job.role {
                Role::Expand { .. } => Role::Expand { closer },
                Role::Execute { .. } if job.spec.yields.is_some() => Role::Execute { closer: Some(closer) },
                _ => continue,
            };
            let (name, spec, scope) = (job.name.clone(), Arc::clone(&job.spec), job.scope);
            self.push(name, &spec, Bindings::new(), Role::Close { opener: JobId(id) }, scope);
        }
        if self.next() > first {
            return first..self.next();
        }
        // Of a race, the judge comes last.
        let last = jobs.end.checked_sub(1).and_then(|last| self.job(JobId(last)));
        if last.is_some_and(|job| job.spec.race.is_some()) { jobs.end - 1..jobs.end } else { jobs }
    }
}

/// Expands all entries of a plan, to at most so many jobs.
pub(crate) fn expand_specs(
    graph: &Graph,
    specs: Vec<Arc<JobSpec>>,
    mut scope: Scope,
    at_most: usize,
    lists: &mut HostLists,
) -> Result<(Fragment, Scope), Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut fragment = Fragment::of(graph);
    let number = id_of(graph.scopes.count());
    let late = late(&specs);
    for (spec, is_late) in specs.into_iter().zip(late) {
        let jobs = if is_late {
            // What is there already is read now, so that what is wrong with it shows, and that it stays the same.
            let before = spec.for_each.iter().filter(|(_, items)| items.value.from_run().is_none());
            diagnostics.extend(before.filter_map(|(_, items)| values_of(items, &scope.base, lists).err()));
            let (first, role) = (fragment.next(), Role::Expand { closer: JobId(0) });
            let name = format!("{}{}", scope.prefix, spec.name.value);
            fragment.push(name, &spec, Bindings::new(), role, number);
            first..fragment.next()
        } else {
            let room = at_most.saturating_sub(fragment.jobs.len());
            match values_before(&spec, &scope.base, lists).and_then(|values| combine(&spec, &values, room)) {
                Ok(items) => fragment.add(&spec, items, &scope.prefix, number),
                Err(diagnostic) => {
                    diagnostics.push(diagnostic);
                    fragment.next()..fragment.next()
                }
            }
        };
        scope.entries.push(Entry { spec, results: jobs.clone(), jobs, is_late });
    }
    for entry in &mut scope.entries {
        if entry.is_late || entry.spec.yields.is_some() || entry.spec.race.is_some() {
            entry.results = fragment.close(entry.jobs.clone());
        }
    }
    if diagnostics.is_empty() {
        let connector = Connector { graph, scope: &scope, own: None, labels: HashMap::new() };
        connector.connect(&mut fragment, &mut diagnostics);
    }
    scope.awaited = awaited(&scope);
    check(&fragment, &scope, graph, true, &mut diagnostics);
    if diagnostics.is_empty() { Ok((fragment, scope)) } else { Err(diagnostics) }
}

/// Makes the jobs of an entry whose items have come to be.
pub(crate) fn expand_entry(
    graph: &Graph,
    opener: JobId,
    items: Vec<(String, Bindings)>,
) -> Result<(Fragment, Range<u32>), Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut fragment = Fragment::of(graph);
    let (job, scope) = (graph.job(opener), graph.scope(opener));
    let jobs = fragment.add(&job.spec, items, &scope.prefix, job.scope);
    let results = fragment.close(jobs);
    let own = scope.entry(&job.spec.name.value).map(|at| (at, results.clone()));
    let connector = Connector { graph, scope, own, labels: HashMap::new() };
    connector.connect(&mut fragment, &mut diagnostics);
    check(&fragment, scope, graph, false, &mut diagnostics);
    if diagnostics.is_empty() { Ok((fragment, results)) } else { Err(diagnostics) }
}

/// What the nodes that close late entries will have to wait for, as the jobs that come to be take from it. Were one of these to
/// need such an entry in turn, the run would stand still.
fn awaited(scope: &Scope) -> HashMap<JobId, Vec<JobId>> {
    let mut all = HashMap::new();
    for entry in scope.entries.iter().filter(|entry| entry.is_late) {
        let mut others = BTreeSet::new();
        for (source, _) in sources(&entry.spec) {
            let name = match source {
                InputSource::Jobs { jobs, .. } => Some(jobs.as_str()),
                InputSource::Job { job, .. } => item_of(source).unwrap_or_else(|| job.as_literal()),
                _ => continue,
            };
            match name {
                Some(name) => others.extend(scope.entry(name)),
                // Only the items will tell, so it may be any.
                None => others.extend(0..scope.entries.len()),
            }
        }
        let others = others.into_iter().map(|at| &scope.entries[at]);
        // Its own items are looked at when they are there.
        let others = others.filter(|other| other.results != entry.results);
        let results = others.flat_map(|other| other.results.clone().map(JobId)).collect();
        all.insert(JobId(entry.results.start), results);
    }
    all
}

fn id_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Which entries have jobs that are known only during the run: those that iterate over an output, and those that take from one
/// item of such an entry.
fn late(specs: &[Arc<JobSpec>]) -> Vec<bool> {
    let mut late: Vec<bool> =
        specs.iter().map(|spec| spec.for_each.iter().any(|(_, items)| items.value.from_run().is_some())).collect();
    if !late.contains(&true) {
        return late;
    }
    let by_name: HashMap<&str, usize> =
        specs.iter().enumerate().map(|(at, spec)| (spec.name.value.as_str(), at)).collect();
    // Who takes from whom, by item: from the one to those that become late with it. Where variables decide on the entry, any can
    // be meant.
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); specs.len()];
    let mut takers_of_any = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        for (source, _) in sources(spec) {
            match item_of(source) {
                Some(Some(name)) => takers[by_name.get(name).copied().unwrap_or(at)].push(at),
                Some(None) => takers_of_any.push(at),
                None => {}
            }
        }
    }
    let mut queue: Vec<usize> = (0..specs.len()).filter(|at| late[*at]).chain(takers_of_any).collect();
    queue.iter().for_each(|at| late[*at] = true);
    while let Some(at) = queue.pop() {
        for taker in &takers[at] {
            if !std::mem::replace(&mut late[*taker], true) {
                queue.push(*taker);
            }
        }
    }
    late
}

/// The entry that a source takes one item of; none inside where only the variables tell.
fn item_of(source: &InputSource) -> Option<Option<&str>> {
    let InputSource::Job { job, .. } = source else { return None };
    match (job.literal_prefix().split_once('['), job.as_literal()) {
        (Some((name, _)), _) => Some(Some(name)),
        (None, None) => Some(None),
        (None, Some(_)) => None,
    }
}

/// Finds the jobs that inputs refer to.
struct Connector<'a> {
    graph: &'a Graph,
    scope: &'a Scope,
    /// The entry whose items are being added, and those of them whose results count.
    own: Option<(usize, Range<u32>)>,
    /// The items of entries, as they are asked for.
    labels: HashMap<usize, HashMap<String, JobId>>,
}

impl Connector<'_> {
    fn connect(mut self, fragment: &mut Fragment, diagnostics: &mut Vec<Diagnostic>) {
        let mut edges = Vec::with_capacity(fragment.jobs.len());
        let mut count = 0_usize;
        for job in &fragment.jobs {
            let mut needs = BTreeSet::new();
            let upstream = match job.role {
                Role::Close { opener } => {
                    needs.insert(opener);
                    Vec::new()
                }
                Role::Judge { first, end } => {
                    needs.extend((first.0..end.0).map(JobId));
                    Vec::new()
                }
                Role::Execute { .. } | Role::Candidate { .. } => {
                    self.upstream(fragment, job, sources(&job.spec), &mut needs, diagnostics)
                }
                Role::Expand { .. } => {
                    self.openers(&job.spec, &mut needs);
                    self.upstream(fragment, job, opening_sources(&job.spec), &mut needs, diagnostics)
                }
            };
            count += needs.len();
            edges.push((upstream, needs.into_iter().collect()));
            // Whoever writes a plan for themselves may have as many as they like.
            if fragment.first > 0 && count > EDGES_MAX {
                let message =
                    format!("there would be more than {EDGES_MAX} dependencies between the jobs that come to be");
                diagnostics.push(Diagnostic::new(message, job.spec.name.span.clone()));
                return;
            }
            if diagnostics.len() >= 100 {
                return;
            }
        }
        for (job, (upstream, needs)) in fragment.jobs.iter_mut().zip(edges) {
            (job.upstream, job.needs) = (upstream, needs);
        }
    }

    fn upstream<'s>(
        &mut self,
        fragment: &Fragment,
        job: &Job,
        sources: impl Iterator<Item = (&'s InputSource, &'s Span)>,
        needs: &mut BTreeSet<JobId>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<Upstream> {
        let mut upstream = Vec::new();
        for (source, span) in sources {
            match source {
                InputSource::Job { job: name, .. } => {
                    let name = name.render(&job.bindings);
                    match self.one(fragment, &name) {
                        Some(id) => {
                            upstream.push(Upstream::One(id));
                            needs.insert(id);
                        }
                        None => diagnostics.push(self.missing(fragment, &name, &job.name, span)),
                    }
                }
                InputSource::Jobs { jobs, .. } => match self.scope.entry(jobs).map(|at| &self.scope.entries[at]) {
                    Some(entry) => {
                        needs.extend(entry.results.clone().map(JobId));
                        upstream.push(match entry.is_late {
                            true => Upstream::Grown(JobId(entry.results.start)),
                            false => Upstream::Items(entry.results.clone()),
                        });
                    }
                    None => diagnostics.push(self.missing(fragment, jobs, &job.name, span)),
                },
                InputSource::Path(_)
                | InputSource::Glob(_)
                | InputSource::Text(_)
                | InputSource::Input(_)
                | InputSource::Output(_) => {}
            }
        }
        upstream
    }

    /// The job of a name, or the node that has its result.
    fn one(&mut self, fragment: &Fragment, name: &str) -> Option<JobId> {
        let Some((entry, label)) = name.strip_suffix(']').and_then(|name| name.split_once('[')) else {
            let entry = &self.scope.entries[self.scope.entry(name)?];
            // Of an entry with items, one has to be named.
            let has_one = entry.spec.for_each.is_empty() || entry.spec.race == Some(1);
            return has_one.then_some(JobId(entry.results.start));
        };
        let at = self.scope.entry(entry)?;
        let closer = JobId(self.scope.entries[at].results.start);
        let is_own = self.own.as_ref().is_some_and(|(own, _)| *own == at);
        if self.scope.entries[at].is_late && !is_own {
            // Before the run, nobody knows. In it, an entry that has not grown was omitted, and so is each of its items.
            if self.graph.jobs.get(closer.index())?.grown.get().is_none() {
                return Some(closer);
            }
        }
        if !self.labels.contains_key(&at) {
            let results = self.items(at)?;
            let label = |id| fragment.job(id).unwrap_or_else(|| self.graph.job(id)).label().to_owned();
            self.labels.insert(at, results.into_iter().map(|id| (label(id), id)).collect());
        }
        self.labels.get(&at)?.get(label).copied()
    }

    /// The items of an entry: what of them has the results.
    fn items(&self, at: usize) -> Option<Vec<JobId>> {
        let entry = &self.scope.entries[at];
        match &self.own {
            _ if entry.spec.for_each.is_empty() || entry.spec.race.is_some() => None,
            Some((own, results)) if *own == at => Some(results.clone().map(JobId).collect()),
            _ if entry.is_late => Some(self.graph.jobs.get(entry.results.start as usize)?.grown.get()?.results.clone()),
            _ => Some(entry.results.clone().map(JobId).collect()),
        }
    }

    /// What opens the entries of which a late one takes single items has to come before what opens itself.
    fn openers(&self, spec: &JobSpec, needs: &mut BTreeSet<JobId>) {
        let own = self.scope.entry(&spec.name.value);
        let mut need = |at: usize| {
            let entry = &self.scope.entries[at];
            if entry.is_late && Some(at) != own {
                needs.insert(JobId(entry.jobs.start));
            }
        };
        for (source, _) in sources(spec) {
            match item_of(source) {
                Some(Some(name)) => self.scope.entry(name).into_iter().for_each(&mut need),
                Some(None) => (0..self.scope.entries.len()).for_each(&mut need),
                None => {}
            }
        }
    }

    fn missing(&self, fragment: &Fragment, name: &str, by: &str, span: &Span) -> Diagnostic {
        let diagnostic =
            Diagnostic::new(format!("there is no job `{name}`"), span.clone()).saying(format!("needed by `{by}`"));
        let seen = fragment.jobs.iter().filter(|job| !matches!(job.role, Role::Close { .. }));
        let names = seen.filter_map(|job| job.name.strip_prefix(&self.scope.prefix));
        let late = name.split_once('[').and_then(|(entry, _)| self.scope.entry(entry));
        if late.is_some_and(|at| self.scope.entries[at].is_late) {
            return diagnostic.hint("its items come to be during the run: take all of them with `jobs`");
        }
        // Of more, it takes longer than it is worth.
        if fragment.jobs.len() > SUGGESTED_MAX {
            return diagnostic;
        }
        match nearest(name, names) {
            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
            None => diagnostic,
        }
    }
}

/// Every input of a job in the plan's order, then standard input, then its conditions.
pub(crate) fn sources(spec: &JobSpec) -> impl Iterator<Item = (&InputSource, &Span)> {
    let mounts = spec.mounts.iter().map(|mount| (&mount.source.value, &mount.source.span));
    let stdin = spec.stdin.iter().filter_map(|stdin| match &stdin.value {
        Stdin::Source(source) => Some((source, &stdin.span)),
        Stdin::Json(_) | Stdin::Blob(_) => None,
    });
    let when = spec.when.iter().map(|condition| (&condition.source.value, &condition.source.span));
    mounts.chain(stdin).chain(when)
}

/// What is looked at before the items of a job are known: what they are read from, in the order of its variables, and then its
/// conditions, if these are the same for all items.
fn opening_sources(spec: &JobSpec) -> impl Iterator<Item = (&InputSource, &Span)> {
    let items = spec.for_each.iter().filter_map(|(_, items)| Some((items.value.from_run()?, &items.span)));
    let when = spec.when.iter().filter(|_| has_one_condition(spec));
    items.chain(when.map(|condition| (&condition.source.value, &condition.source.span)))
}

/// Whether the conditions of a job have no variables in them.
pub(crate) fn has_one_condition(spec: &JobSpec) -> bool {
    let is_plain = |template: &Template| template.as_literal().is_some();
    spec.when.iter().all(|condition| {
        let InputSource::Job { job, path } = &condition.source.value else { return false };
        is_plain(job) && path.iter().chain(&condition.is).all(is_plain)
    })
}

/// What the `result` of a plan that was yielded leads to, when all of its jobs have ended.
pub(crate) fn connect_result(
    graph: &Graph,
    scope: &Scope,
    origin: JobId,
    result: &InputSource,
) -> Result<Vec<Upstream>, Diagnostic> {
    let (fragment, span) = (Fragment::of(graph), 0..0);
    let mut diagnostics = Vec::new();
    let mut connector = Connector { graph, scope, own: None, labels: HashMap::new() };
    let sources = std::iter::once((result, &span));
    let upstream = connector.upstream(&fragment, graph.job(origin), sources, &mut BTreeSet::new(), &mut diagnostics);
    diagnostics.pop().map_or(Ok(upstream), Err)
}
