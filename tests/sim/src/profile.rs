//! What a seed makes of a run: its sizes, its paces, and which trouble it has.
//!
//! Every run leaves some kinds of trouble out and has far too much of another, so that rare
//! combinations come up (swarm testing).

use std::time::Duration;

use tidegate_core::{
    BreakerConfig, CacheConfig, Config, Limits, ParamConfig, Random, RetryBudgetConfig,
    RetryConfig, SourceConfig, SourceKind, TemplateConfig, Thresholds,
};

/// How a fetch may end, apart from well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No response ever.
    Lost,
    /// No connection.
    Connect,
    /// The connection breaks.
    Reset,
    /// The driver gave the fetch up first.
    DriverTimeout,
    /// A body over the limit.
    TooLarge,
    /// A content encoding that is broken.
    Encoding,
    /// A redirect.
    Redirect,
    /// The driver does not send it.
    Refused,
    /// 500, 502, 503 or 504 with a page or an envelope, perhaps with `Retry-After`.
    Storm,
    /// 429, perhaps with `Retry-After`.
    TooMany,
    /// 400 or 422 in an envelope, or another 4xx with a page.
    Refusal,
    /// A good body, cut.
    Truncated,
    /// What is no envelope, or one that contradicts its status.
    Garbage,
    /// A status that no query has.
    OddStatus,
    /// An answer with warnings.
    Partial,
}

/// All faults, in order.
pub const FAULTS: [Fault; 15] = [
    Fault::Lost,
    Fault::Connect,
    Fault::Reset,
    Fault::DriverTimeout,
    Fault::TooLarge,
    Fault::Encoding,
    Fault::Redirect,
    Fault::Refused,
    Fault::Storm,
    Fault::TooMany,
    Fault::Refusal,
    Fault::Truncated,
    Fault::Garbage,
    Fault::OddStatus,
    Fault::Partial,
];

/// What may happen beside fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// One asks.
    Ask,
    /// Very many ask the same.
    Crowd,
    /// One asks about a range.
    AskRange,
    /// Several sources are asked at once.
    AskSeveral,
    /// Memory is read by key, or by a handle.
    Hit,
    /// Somebody leaves.
    Abandon,
    /// Answers are forgotten.
    Invalidate,
    /// A key is no longer kept warm.
    Untrack,
    /// A new configuration.
    Reload,
    /// A wrong configuration.
    BadReload,
    /// A template's text changes, or it comes or goes.
    Template,
    /// The wall clock steps.
    WallStep,
    /// The monotonic clock runs backwards for one call.
    MonoBack,
    /// A response comes again, or for nothing.
    StrayResponse,
    /// Samples are pushed.
    Record,
    /// A server's weather changes.
    Weather,
    /// A server changes its mind about what is settled.
    Rewrite,
    /// Nothing happens for minutes.
    Pause,
}

/// All acts, in order, with how likely they are before the seed has its way.
pub const ACTS: [(Act, u64); 18] = [
    (Act::Ask, 60),
    (Act::Crowd, 3),
    (Act::AskRange, 12),
    (Act::AskSeveral, 4),
    (Act::Hit, 12),
    (Act::Abandon, 8),
    (Act::Invalidate, 4),
    (Act::Untrack, 4),
    (Act::Reload, 2),
    (Act::BadReload, 1),
    (Act::Template, 3),
    (Act::WallStep, 2),
    (Act::MonoBack, 2),
    (Act::StrayResponse, 4),
    (Act::Record, 3),
    (Act::Weather, 5),
    (Act::Rewrite, 1),
    (Act::Pause, 1),
];

/// What a seed makes of a run.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How many things happen.
    pub acts: u64,
    /// The usual time between them.
    pub gap: Duration,
    /// How likely each is.
    pub act_weights: Vec<(Act, u64)>,
    /// How likely each fault is while a server is ill.
    pub fault_weights: Vec<(Fault, u64)>,
    /// Of a hundred fetches, how many fail in bad weather.
    pub faults_percent: u64,
    /// The usual time a response takes.
    pub latency: Duration,
    /// Of a hundred responses, how many come twice.
    pub duplicates_percent: u64,
    /// Of a hundred cancelled fetches, how many are answered all the same.
    pub late_percent: u64,
    /// Up to this long after a deadline the driver comes.
    pub lateness: Duration,
    /// How many askers come at once.
    pub crowd: u64,
    /// Queries in the asker's own words.
    pub queries: u64,
    /// Values of the templates' parameter.
    pub values: u64,
    /// Names of sources there can be.
    pub sources: u64,
    /// Templates there can be in each.
    pub templates: u64,
    /// How long a server's value stands still; zero changes it with every answer.
    pub still: Duration,
    /// What the collector begins with.
    pub config: Config,
}

impl Profile {
    /// The profile of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x70_72_6f_66);
        let r = &mut random;
        let ms = |of: &[u64], r: &mut Random| Duration::from_millis(pick(of, r));
        let adaptive = chance(15, r);
        let mut profile = Self {
            acts: pick(&[50, 100, 250], r),
            gap: ms(&[5, 100, 1_000, 4_000], r),
            act_weights: swarm(&ACTS, 35, r),
            fault_weights: swarm(&FAULTS.map(|fault| (fault, 3)), 50, r),
            faults_percent: pick(&[0, 10, 40, 100], r),
            latency: ms(&[1, 30, 400, 3_000], r),
            duplicates_percent: pick(&[0, 0, 10], r),
            late_percent: pick(&[0, 50], r),
            lateness: ms(&[0, 0, 0, 0, 0, 0, 0, 0, 300, 5_000], r),
            crowd: pick(&[10, 10, 10, 100, 100, 2_000], r),
            queries: pick(&[1, 3, 40], r),
            values: pick(&[1, 4, 30], r),
            sources: pick(&[1, 2, 4], r),
            templates: pick(&[1, 3], r),
            still: if adaptive {
                ms(&[15_000, 3_600_000], r)
            } else {
                Duration::ZERO
            },
            config: Config::default(),
        };
        // A crowd is costly, so few runs have many.
        if profile.crowd > 50 {
            for (act, weight) in &mut profile.act_weights {
                if *act == Act::Crowd {
                    *weight = (*weight).min(1);
                }
            }
        }
        let sources = (0..profile.sources).map(|nth| source(nth, adaptive, &profile, r));
        let sources = sources.collect();
        profile.config = Config {
            sources,
            cache: CacheConfig {
                enabled: !chance(7, r),
                bytes_max: if chance(15, r) {
                    pick(&[3_000, 20_000], r) as usize
                } else {
                    64 << 20
                },
                cleanup_interval: ms(&[1_000, 60_000], r),
            },
            limits: Limits {
                fetches_per_source_max: pick(&[1, 2, 20], r) as usize,
                queue_per_source_max: pick(&[2, 1_024, 1_024], r) as usize,
                askers_per_fetch_max: pick(&[2, 10_000, 10_000], r) as usize,
                settled_age_max: ms(&[60_000, 600_000], r),
                ..Limits::default()
            },
            seed,
            ..Config::default()
        };
        if seed % 8 == 5 {
            profile.hurry_breakers();
        }
        profile
    }

    /// Has breakers open for far less than a fetch takes, and several fetches fail at once: only
    /// so do results from before an opening come while its probe is under way.
    fn hurry_breakers(&mut self) {
        self.gap = self.gap.min(Duration::from_millis(100));
        self.latency = Duration::from_secs(3);
        self.faults_percent = self.faults_percent.max(40);
        self.queries = self.queries.max(3);
        let limits = &mut self.config.limits;
        limits.fetches_per_source_max = limits.fetches_per_source_max.max(2);
        for source in &mut self.config.sources {
            source.timeout = Duration::from_secs(10);
            source.breaker = BreakerConfig {
                failures_max: source.breaker.failures_max.clamp(1, 2),
                open: Duration::from_millis(200),
                open_max: Duration::from_secs(1),
            };
        }
    }
}

/// A source as a seed likes it.
fn source(nth: u64, adaptive: bool, profile: &Profile, r: &mut Random) -> SourceConfig {
    let ms = |of: &[u64], r: &mut Random| Duration::from_millis(pick(of, r));
    let ttl = ms(&[1_000, 10_000, 30_000], r);
    let thresholds = match pick(&[0, 1], r) {
        0 => Thresholds::default(),
        _ => Thresholds {
            fresh_below: Duration::from_secs(5),
            warn_past: Duration::from_secs(10),
            unavailable_past: Duration::from_secs(40),
        },
    };
    SourceConfig {
        kind: if chance(20, r) {
            SourceKind::Plugin
        } else {
            SourceKind::Prometheus
        },
        ttl,
        timeout: ms(&[1_000, 10_000], r),
        thresholds,
        probe_interval: ms(&[0, 30_000], r),
        refusal_ttl: ms(&[0, 5_000], r),
        fetch_interval: ms(&[0, 5_000, 30_000], r),
        idle_after: ms(&[30_000, 300_000], r),
        ttl_max: adaptive.then_some(ttl * 5),
        align: adaptive && chance(50, r),
        retry: RetryConfig {
            retries_max: pick(&[0, 1, 3, 3], r) as u32,
            backoff: ms(&[0, 50, 1_000], r),
            ..RetryConfig::default()
        },
        retry_budget: RetryBudgetConfig {
            ratio_percent: pick(&[0, 20, 20, 1_000], r) as u32,
            floor: pick(&[0, 3, 3], r) as u32,
        },
        breaker: BreakerConfig {
            failures_max: pick(&[0, 1, 5, 5, 5], r) as u32,
            ..BreakerConfig::default()
        },
        templates: (0..profile.templates)
            .map(|nth| template(nth, 0, r))
            .collect(),
        ..SourceConfig::prometheus(format!("s{nth}"))
    }
}

/// The template of this name whose text is of this version.
pub fn template(nth: u64, version: u64, r: &mut Random) -> TemplateConfig {
    TemplateConfig {
        name: format!("t{nth}"),
        text: format!("t{nth}_v{version}{{k=\"{{{{.k}}}}\"}}"),
        params: Vec::<ParamConfig>::new(),
        ttl: chance(30, r).then(|| Duration::from_secs(3)),
        ..TemplateConfig::default()
    }
}

/// Leaves some out and exaggerates one.
fn swarm<T: Copy>(usual: &[(T, u64)], out_percent: u64, r: &mut Random) -> Vec<(T, u64)> {
    let mut weights: Vec<_> = usual.to_vec();
    // The first is never left out: without askers nothing happens.
    for (_, weight) in weights.iter_mut().skip(1) {
        *weight = if chance(out_percent, r) {
            0
        } else {
            *weight * (1 + r.below(3))
        };
    }
    let loud = r.below(weights.len() as u64) as usize;
    weights[loud].1 *= 6;
    weights
}

/// One of these.
pub fn pick(of: &[u64], r: &mut Random) -> u64 {
    of[r.below(of.len() as u64) as usize]
}

/// True so many times out of a hundred.
pub fn chance(percent: u64, r: &mut Random) -> bool {
    r.below(100) < percent
}

/// One of these, each as likely as its weight says; the first if all are zero.
pub fn weighted<T: Copy>(weights: &[(T, u64)], r: &mut Random) -> T {
    let sum = weights.iter().map(|(_, weight)| weight).sum();
    let mut left = r.below(sum);
    for (of, weight) in weights {
        if left < *weight {
            return *of;
        }
        left -= weight;
    }
    weights[0].0
}

impl Act {
    /// Its coverage mark.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "act: ask",
            Self::Crowd => "act: crowd",
            Self::AskRange => "act: ask range",
            Self::AskSeveral => "act: ask several",
            Self::Hit => "act: hit",
            Self::Abandon => "act: abandon",
            Self::Invalidate => "act: invalidate",
            Self::Untrack => "act: untrack",
            Self::Reload => "act: reload",
            Self::BadReload => "act: bad reload",
            Self::Template => "act: template",
            Self::WallStep => "act: wall step",
            Self::MonoBack => "act: mono back",
            Self::StrayResponse => "act: stray response",
            Self::Record => "act: record",
            Self::Weather => "act: weather",
            Self::Rewrite => "act: rewrite",
            Self::Pause => "act: pause",
        }
    }
}

impl Fault {
    /// Its coverage mark.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "fault: lost",
            Self::Connect => "fault: connect",
            Self::Reset => "fault: reset",
            Self::DriverTimeout => "fault: driver timeout",
            Self::TooLarge => "fault: too large",
            Self::Encoding => "fault: encoding",
            Self::Redirect => "fault: redirect",
            Self::Refused => "fault: refused",
            Self::Storm => "fault: storm",
            Self::TooMany => "fault: too many",
            Self::Refusal => "fault: refusal",
            Self::Truncated => "fault: truncated",
            Self::Garbage => "fault: garbage",
            Self::OddStatus => "fault: odd status",
            Self::Partial => "fault: partial",
        }
    }
}
