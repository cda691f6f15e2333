//! The reference model: what is owed to askers and servers, told naively, checked after every step.
//!
//! It sees what the driver sees: the calls it makes, the outputs it drains, and the views. From
//! those and from what servers put into their answers it knows what each answer is and how old it
//! really is. A rule that is broken is a [`Violation`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidegate_core::{
    AskId, Collector, Config, Fetch, FetchId, Instant, Invalidation, Now, SourceConfig, Stats,
};

use crate::marks::Marks;
use crate::server::{Delivery, Meaning};
use crate::truth::Edition;

mod answers;
mod fetches;
mod hits;
mod key;
mod ranges;
mod steady;
mod upstream;

pub use hits::Stay;
use key::{Flight, Known};
pub use key::{Topic, What};
pub use ranges::range_of;
use ranges::{Piece, Ranges};
use upstream::{Upstream, Verdict};

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name.
    pub rule: &'static str,
    /// What happened.
    pub detail: String,
}

pub(crate) type Check = Result<(), Violation>;

/// Breaks off with a violation unless it holds.
macro_rules! owed {
    ($holds:expr, $rule:literal, $($detail:tt)*) => {
        if !$holds {
            return Err($crate::model::Violation { rule: $rule, detail: format!($($detail)*) });
        }
    };
}
pub(crate) use owed;

/// What the driver is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It asks.
    Ask,
    /// It hands a response over.
    Response,
    /// It comes for a deadline.
    Timeout,
    /// It has answers forgotten.
    Invalidate,
    /// It changes a catalog, which may not need the time.
    Catalog,
    /// It reads memory, which needs no time where nothing is kept.
    Hit,
    /// Anything else.
    Other,
}

/// A fetch under way, as the driver sees it.
#[derive(Clone, Debug)]
struct Fetching {
    source: String,
    /// `None` for a probe, and for a piece of a range.
    key: Option<String>,
    text: String,
    range: Option<Piece>,
    began: Instant,
    deadline: Instant,
}

impl Fetching {
    fn is_probe(&self) -> bool {
        self.key.is_none() && self.range.is_none()
    }
}

/// Somebody who waits.
#[derive(Clone, Debug)]
struct Pending {
    /// The keys and texts of what they wait for.
    of: Vec<(String, String)>,
    deadline: Instant,
    max_age: Option<Duration>,
    max_stale: Option<Duration>,
    several: bool,
}

/// The response that is being handed over.
#[derive(Clone, Debug)]
struct Landing {
    fetch: Fetching,
    meaning: Meaning,
    evaluated_us: Option<u64>,
    dated_ms: Option<i64>,
    retry_after: Option<Duration>,
    edition: Option<Edition>,
}

impl Landing {
    /// How long a retry is owed to wait.
    fn wait_at_least(&self, backoff_max: Duration) -> Duration {
        self.retry_after.unwrap_or_default().min(backoff_max)
    }
}

/// The model.
#[derive(Debug)]
pub struct Model {
    /// The configuration in force.
    pub config: Config,
    /// What was done.
    pub marks: Marks,
    now: Now,
    upstreams: BTreeMap<String, Upstream>,
    known: BTreeMap<String, Known>,
    /// Which key is fetched by which text and time.
    by_text: BTreeMap<(String, String, Option<String>), String>,
    fetches: BTreeMap<FetchId, Fetching>,
    pending: BTreeMap<AskId, Pending>,
    deadlines: BTreeSet<(Instant, AskId)>,
    ranges: Ranges,
    /// When the wall clock stepped back, by how many milliseconds.
    steps_back: Vec<(Instant, u64)>,
    /// How long settled answers may be believed, now or before.
    settled_ages: BTreeSet<Duration>,
    landing: Option<Landing>,
    call: Call,
    before: Stats,
    /// Whether answers may be missing from the cache for want of room.
    lossy: bool,
    /// By how much the driver may come late.
    lateness: Duration,
}

impl Model {
    /// A model of a collector of this configuration.
    pub fn new(config: Config, lateness: Duration, now: Now) -> Self {
        let mut model = Self {
            config: Config::default(),
            marks: Marks::default(),
            now,
            upstreams: BTreeMap::new(),
            known: BTreeMap::new(),
            by_text: BTreeMap::new(),
            fetches: BTreeMap::new(),
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ranges: Ranges::default(),
            steps_back: Vec::new(),
            settled_ages: BTreeSet::new(),
            landing: None,
            call: Call::Other,
            before: Stats::default(),
            lossy: false,
            lateness,
        };
        model.reloaded(&config);
        model
    }

    /// A call begins.
    pub fn begin(&mut self, call: Call, now: Now, stats: Stats) {
        self.now = Now {
            mono: now.mono.max(self.now.mono),
            wall: now.wall,
        };
        self.call = call;
        self.before = stats;
        self.landing = None;
    }

    /// The wall clock steps by this many milliseconds.
    pub fn wall_stepped(&mut self, at: Instant, ms: i64) {
        if ms < 0 {
            self.steps_back.push((at, ms.unsigned_abs()));
        } else {
            // What is kept is as old as either clock says.
            self.ranges.unsure(at);
        }
    }

    /// Makes a topic known, and the text it is asked by.
    pub fn learn(&mut self, topic: &Topic) -> String {
        let key = topic.key();
        if let Some(text) = topic.text(&self.config) {
            let by = (topic.source.clone(), text, topic.time());
            self.by_text.entry(by).or_insert_with(|| key.clone());
        }
        let known = || Known::new(topic.clone());
        self.known.entry(key.clone()).or_insert_with(known);
        key
    }

    /// All asks that wait.
    pub fn waiting(&self) -> impl Iterator<Item = AskId> {
        self.pending.keys().copied().chain(self.ranges.waiting())
    }

    /// The fetches under way.
    pub fn under_way(&self) -> impl Iterator<Item = FetchId> {
        self.fetches.keys().copied()
    }

    /// An asker leaves.
    pub fn abandoned(&mut self, ask: AskId) {
        self.leave(ask);
    }

    fn leave(&mut self, ask: AskId) -> Option<Pending> {
        if let Some(deadline) = self.ranges.leave(ask) {
            self.deadlines.remove(&(deadline, ask));
        }
        let pending = self.pending.remove(&ask)?;
        self.deadlines.remove(&(pending.deadline, ask));
        for (key, _) in &pending.of {
            if let Some(known) = self.known.get_mut(key) {
                known.askers -= 1;
            }
        }
        Some(pending)
    }

    /// Answers are to be forgotten.
    pub fn invalidated(&mut self, what: &Invalidation) {
        let now = self.now.mono;
        self.ranges.invalidated(what, now);
        for known in self.known.values_mut() {
            if known.topic.is_covered_by(what) {
                known.forget();
                known.valid_from = Some(now);
                for flight in known.flights.values_mut() {
                    flight.restarted = true;
                    flight.resting = None;
                }
            }
        }
    }

    /// A key is no longer kept warm.
    pub fn untracked(&mut self, key: &str) {
        if let Some(known) = self.known.get_mut(key) {
            known.last_read = None;
            known.served_stale = None;
        }
    }

    /// A template changed, came or went.
    pub fn template_changed(&mut self, source: &str, template: &str) {
        for known in self.known.values_mut() {
            if known.topic.source == source && known.topic.template() == Some(template) {
                known.forget();
                known.last_read = None;
                known.served_stale = None;
            }
        }
    }

    /// A template of a source's catalog changed, came or went, and this is what is configured now.
    pub fn catalog_changed(&mut self, config: Config, source: &str, template: &str) {
        let now = self.now.mono;
        self.template_changed(source, template);
        let settings = config.sources.iter().find(|s| s.name == source);
        if let (Some(settings), Some(upstream)) = (settings, self.upstreams.get_mut(source)) {
            upstream.configure(settings.clone(), now);
        }
        self.config = config;
    }

    /// A new configuration was taken.
    pub fn reloaded(&mut self, config: &Config) {
        let former = core::mem::replace(&mut self.config, config.clone());
        self.ranges.unsure(self.now.mono);
        self.settled_ages.insert(config.limits.settled_age_max);
        let mut upstreams = core::mem::take(&mut self.upstreams);
        for settings in &config.sources {
            let same = former
                .sources
                .iter()
                .find(|s| s.name == settings.name && s.kind == settings.kind);
            match (same, upstreams.remove(&settings.name)) {
                (Some(before), Some(mut upstream)) => {
                    self.templates_changed(before, settings);
                    upstream.configure(settings.clone(), self.now.mono);
                    self.upstreams.insert(settings.name.clone(), upstream);
                }
                (_, gone) => {
                    if gone.is_some() {
                        self.source_removed(&settings.name);
                    }
                    let upstream = Upstream::new(settings.clone(), self.lateness);
                    self.upstreams.insert(settings.name.clone(), upstream);
                }
            }
        }
        for name in upstreams.keys() {
            self.source_removed(name);
        }
        for known in self.known.values_mut() {
            let upstream = self.upstreams.get(&known.topic.source);
            let is_off = upstream.is_none_or(|u| u.settings.fetch_interval.is_zero());
            if !config.cache.enabled {
                known.drop_kept();
            }
            if is_off || !config.cache.enabled {
                known.last_read = None;
            }
        }
    }

    fn templates_changed(&mut self, before: &SourceConfig, after: &SourceConfig) {
        for template in &before.templates {
            if !after.templates.contains(template) {
                self.template_changed(&before.name, &template.name);
            }
        }
    }

    fn source_removed(&mut self, name: &str) {
        self.ranges.source_removed(name);
        for known in self
            .known
            .values_mut()
            .filter(|known| known.topic.source == name)
        {
            known.forget();
            known.last_read = None;
            known.served_stale = None;
            known.flights.clear();
        }
    }

    /// A response is about to be handed over; says whether anybody waits for it.
    pub fn lands(&mut self, id: FetchId, delivery: &Delivery) -> bool {
        let Some(fetch) = self.fetches.remove(&id) else {
            self.marks.hit("response to be ignored");
            return false;
        };
        let verdict = match (fetch.is_probe(), delivery.meaning, &delivery.result) {
            // Whoever says anything but 5xx to a probe is there.
            (true, _, Ok(response)) if response.status < 500 => Verdict::Works,
            (true, _, Ok(_)) => Verdict::Fails,
            (
                _,
                Meaning::Good | Meaning::Partial | Meaning::Refused | Meaning::Rejected { .. },
                _,
            ) => Verdict::Works,
            (_, Meaning::Failed { .. }, _) => Verdict::Fails,
            (_, Meaning::Unsent, _) => Verdict::SaysNothing,
        };
        self.judge(id, &fetch, verdict);
        let landing = Landing {
            fetch,
            meaning: delivery.meaning,
            evaluated_us: delivery.evaluated_us,
            dated_ms: delivery.dated_ms,
            retry_after: delivery.result.as_ref().ok().and_then(|r| r.retry_after),
            edition: delivery.edition,
        };
        self.range_landed(&landing);
        self.landing = Some(landing);
        true
    }

    fn judge(&mut self, id: FetchId, fetch: &Fetching, verdict: Verdict) {
        let now = self.now.mono;
        let Some(upstream) = self.upstreams.get_mut(&fetch.source) else {
            return;
        };
        let config = upstream.settings.breaker;
        if upstream
            .breaker
            .ended(id, fetch.began, verdict, &config, now)
        {
            upstream.last_opened = Some(now);
            self.marks.hit("breaker opened");
        }
    }

    /// Whether more than room decides that an answer is kept.
    fn is_strict(&self) -> bool {
        !self.lossy
    }

    /// Checks what holds between any two calls.
    pub fn after(&mut self, collector: &Collector) -> Check {
        self.landed(collector)?;
        self.steady(collector)
    }

    fn topic_of(&self, fetch: &Fetch) -> Result<Option<(String, String)>, Violation> {
        if fetch.request.path != "/api/v1/query" {
            return Ok(None);
        }
        let form = tidegate_wire::form::decode_form(&fetch.request.form).unwrap_or_default();
        let value = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let text = value("query").unwrap_or_default();
        let by = (fetch.source.to_string(), text.clone(), value("time"));
        let key = self.by_text.get(&by);
        owed!(
            key.is_some(),
            "fetched is what was asked",
            "nobody ever asked {by:?}"
        );
        Ok(key.map(|key| (key.clone(), text)))
    }
}
