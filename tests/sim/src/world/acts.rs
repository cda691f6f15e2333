//! What happens beside fetches and deadlines: askers, operators, clocks and strays.

use std::fmt::Write;
use std::time::Duration;

use tidegate_core::{
    Ask, AskId, Config, FetchId, Instant, Invalidation, Lookup, Now, Priority, Random, Range,
    Record, Sample, SourceConfig, SourceKind, UnixMillis,
};
use tidegate_series::Labels;

use super::digest::tell_lookup;
use super::{WALL_MS, World};
use crate::model::{Call, Check, Topic, What};
use crate::profile::{Act, chance, pick, template};
use crate::server::{self, Meaning};
use crate::truth::{AHEAD, Truth};

/// The source that is pushed to.
const PUSHED: &str = "pushed";

impl World {
    pub(super) fn act(&mut self, act: Act) -> Check {
        match act {
            Act::Ask => {
                let topic = self.topic();
                let ask = self.wishes(topic.ask());
                self.ask(&ask, &topic)
            }
            Act::Crowd => self.crowd(),
            Act::AskRange => self.ask_range(),
            Act::AskSeveral => self.ask_several(),
            Act::Hit => self.hit(),
            Act::Abandon => self.abandon(),
            Act::Invalidate => self.invalidate(),
            Act::Untrack => self.untrack(),
            Act::Reload => self.reload(),
            Act::BadReload => self.reload_badly(),
            Act::Template => self.change_template(),
            Act::WallStep => self.step_wall(),
            Act::MonoBack => self.step_mono_back(),
            Act::StrayResponse => self.stray(),
            Act::Record => self.record(),
            Act::Weather => {
                let name = self.source_name();
                let server = self.servers.entry(name).or_default();
                server.change(&self.profile, &mut self.random);
                self.model.kept_warm(&self.collector)
            }
            Act::Rewrite => {
                let name = self.source_name();
                self.servers.entry(name).or_default().edition += 1;
                Ok(())
            }
            Act::Pause => Ok(()),
        }
    }

    fn source_name(&mut self) -> String {
        format!("s{}", self.random.below(self.profile.sources))
    }

    fn topic(&mut self) -> Topic {
        let source = self.source_name();
        let r = &mut self.random;
        let what = if chance(50, r) {
            let nth = r.below(self.profile.queries);
            let kind = if nth % 5 == 3 { "empty" } else { "query" };
            What::Query(format!("{kind}{nth}{{a=\"b\"}}"))
        } else {
            let template = r.below(self.profile.templates);
            let value = r.below(self.profile.values);
            What::Template(format!("t{template}"), format!("v{value}"))
        };
        // Some ask about the past, settled or not.
        let time_ms = chance(8, r).then(|| {
            let ago = pick(&[0, 400_000], r) as i64;
            WALL_MS - ago + pick(&[0, 1, 1_500], r) as i64
        });
        Topic {
            source,
            what,
            time_ms,
        }
    }

    fn wishes(&mut self, ask: Ask) -> Ask {
        let r = &mut self.random;
        let ms = |of: &[u64], r: &mut Random| Duration::from_millis(pick(of, r));
        Ask {
            max_age: chance(25, r).then(|| ms(&[0, 500, 5_000, 20_000, 100_000], r)),
            allow_stale: chance(30, r),
            max_stale: chance(15, r).then(|| ms(&[0, 700, 5_000, 60_000], r)),
            timeout: chance(25, r).then(|| ms(&[0, 20, 700, 3_000, 60_000], r)),
            priority: match r.below(4) {
                0 => Priority::High,
                1 => Priority::Background,
                _ => Priority::Normal,
            },
            ..ask
        }
    }

    fn ask(&mut self, ask: &Ask, topic: &Topic) -> Check {
        let mut said = String::new();
        let checked = self.call(Call::Ask, |collector, model, now| {
            let lookup = collector.query(ask, now);
            tell_lookup(&mut said, &lookup);
            model.asked(ask, topic, &lookup, collector)
        });
        self.said(&format!("ask {}", topic.key()), &said);
        checked
    }

    fn said(&mut self, what: &str, said: &str) {
        let _ = self.digest.write_str(said);
        if self.trace {
            let ms = self.mono.as_nanos() / 1_000_000;
            println!("{ms:>8} ms  {what}: {said}");
        }
    }

    fn crowd(&mut self) -> Check {
        let topic = self.topic();
        let count = 1 + self.random.below(self.profile.crowd);
        for _ in 0..count {
            let ask = self.wishes(topic.ask());
            self.ask(&ask, &topic)?;
        }
        Ok(())
    }

    /// Windows that slide with the clock, reach back, are zoomed by their step and shifted by their
    /// phase.
    fn ask_range(&mut self) -> Check {
        let source = self.source_name();
        let wall_ms = self.now().wall.0;
        let r = &mut self.random;
        let nth = r.below(2);
        let ahead = if chance(15, r) { AHEAD.0 } else { "" };
        let text = format!("range{nth}{ahead}");
        let step_ms = pick(&[15_000, 15_000, 15_000, 60_000, 7_001], r) as i64;
        let back = pick(&[0, 0, 0, 1, 3, 30, 100], r) as i64;
        let phase_ms = pick(&[0, 0, 0, 500], r) as i64;
        let end_ms = (wall_ms.div_euclid(step_ms) - back) * step_ms + phase_ms;
        let points = pick(&[1, 2, 40, 40, 80, 200], r) as i64;
        let ask = Ask {
            allow_stale: chance(10, r),
            timeout: chance(20, r).then(|| Duration::from_millis(pick(&[0, 700, 60_000], r))),
            max_age: chance(5, r).then_some(Duration::ZERO),
            ..Ask::promql(text.as_str()).of(source).over(Range {
                start: UnixMillis(end_ms - (points - 1) * step_ms),
                end: UnixMillis(end_ms + pick(&[0, 1], r) as i64),
                step: Duration::from_millis(step_ms as u64),
            })
        };
        let mut said = String::new();
        let checked = self.call(Call::Ask, |collector, model, now| {
            let lookup = collector.query(&ask, now);
            tell_lookup(&mut said, &lookup);
            model.asked_range(&ask, &text, &lookup)
        });
        self.said(
            &format!("ask {:?} {text} {:?}", ask.sources, ask.range),
            &said,
        );
        checked
    }

    fn ask_several(&mut self) -> Check {
        let first = self.topic();
        let mut ask = self.wishes(first.ask());
        ask.sources.clear();
        let mut topics = Vec::new();
        for nth in 0..self.profile.sources + 1 {
            // Beyond the last there is one that does not exist.
            if chance(
                if nth == self.profile.sources { 10 } else { 70 },
                &mut self.random,
            ) {
                ask.sources.push(format!("s{nth}"));
                topics.push(Topic {
                    source: format!("s{nth}"),
                    ..first.clone()
                });
            }
        }
        if ask.sources.len() < 2 {
            return Ok(());
        }
        let mut said = String::new();
        let checked = self.call(Call::Ask, |collector, model, now| {
            let lookup = collector.query(&ask, now);
            tell_lookup(&mut said, &lookup);
            model.asked_several(&ask, &topics, &lookup)
        });
        self.said(&format!("ask {:?} {}", ask.sources, first.key()), &said);
        checked
    }

    /// Reads memory by a key, and gets a handle on it; or by a handle from before.
    fn hit(&mut self) -> Check {
        let held = self.handles.len() as u64;
        let by = (held > 0 && chance(60, &mut self.random))
            .then(|| self.handles[self.random.below(held) as usize].clone());
        let key = match &by {
            Some((_, stay)) => stay.key.clone(),
            None => self.topic().key(),
        };
        let mut said = String::new();
        let mut resolved = None;
        let checked = self.call(Call::Hit, |collector, model, now| {
            resolved = collector.resolve(&key).zip(model.stay(&key));
            let hit = match &by {
                Some((handle, _)) => collector.hit_by(*handle, now),
                None => collector.hit(&key, now),
            };
            if let Some(hit) = &hit {
                let _ = write!(said, "{} {:?} {:?}", hit.key(), hit.age(), hit.ttl_left());
            }
            model.hit(&key, by.as_ref().map(|(_, stay)| stay), hit.as_ref())
        });
        self.said(&format!("hit {key} {}", by.is_some()), &said);
        self.handles.extend(resolved);
        checked
    }

    fn abandon(&mut self) -> Check {
        let waiting: Vec<AskId> = self.model.waiting().collect();
        let ask = match waiting.len() {
            // Nobody of this name waits, and that is fine.
            0 => AskId(u64::MAX),
            count => waiting[self.random.below(count as u64) as usize],
        };
        self.said("abandon", &format!("{ask:?}"));
        self.call(Call::Other, |collector, model, now| {
            collector.abandon(ask, now);
            model.abandoned(ask);
            Ok(())
        })
    }

    fn invalidate(&mut self) -> Check {
        let topic = self.topic();
        let source = topic.source.clone();
        let what = match self.random.below(8) {
            0 => Invalidation::All,
            1 => Invalidation::Source(source),
            2 => Invalidation::Template {
                source,
                template: "t0".into(),
            },
            3 => Invalidation::Prefix(format!("{source}/{}", pick_text(&mut self.random))),
            4 => Invalidation::Prefix(format!("{source}/:query=query1")),
            _ => Invalidation::Key(topic.key()),
        };
        self.said("invalidate", &format!("{what:?}"));
        self.call(Call::Invalidate, |collector, model, now| {
            model.invalidated(&what);
            collector.invalidate(&what, now);
            Ok(())
        })
    }

    fn untrack(&mut self) -> Check {
        let key = self.topic().key();
        self.said("untrack", &key);
        self.call(Call::Other, |collector, model, now| {
            if collector.untrack(&key, now) {
                model.untracked(&key);
                model.marks.hit("untracked");
            }
            Ok(())
        })
    }

    fn reload(&mut self) -> Check {
        let config = self.another_config();
        self.said("reload", &format!("{config:?}"));
        self.call(Call::Other, |collector, model, now| {
            let reloaded = collector.reload(config.clone(), now);
            crate::model::owed!(
                reloaded.is_ok(),
                "good configurations are taken",
                "{reloaded:?}"
            );
            model.reloaded(&config);
            Ok(())
        })
    }

    fn another_config(&mut self) -> Config {
        let mut config = self.model.config.clone();
        let r = &mut self.random;
        let former = core::mem::take(&mut config.sources);
        for nth in 0..self.profile.sources {
            let name = format!("s{nth}");
            let current = former.iter().find(|source| source.name == name);
            let initial = self
                .profile
                .config
                .sources
                .iter()
                .find(|source| source.name == name);
            let (Some(mut source), false) = (current.or(initial).cloned(), chance(20, r)) else {
                continue;
            };
            if current.is_none() || chance(30, r) {
                self.template_version += 1;
                let version = self.template_version;
                source.templates = (0..self.profile.templates)
                    .map(|nth| template(nth, version, r))
                    .collect();
            }
            if chance(50, r) {
                change(&mut source, r);
            }
            config.sources.push(source);
        }
        if former.iter().all(|source| source.name != PUSHED) || chance(50, r) {
            config.sources.push(SourceConfig::push(PUSHED));
        }
        if chance(20, r) {
            config.limits.fetches_per_source_max = pick(&[1, 2, 20], r) as usize;
            config.limits.settled_age_max = Duration::from_secs(pick(&[60, 600], r));
        }
        if chance(10, r) {
            config.cache.enabled = !config.cache.enabled;
        }
        config
    }

    fn reload_badly(&mut self) -> Check {
        let mut config = self.another_config();
        let twin = SourceConfig::push(PUSHED);
        config.sources.extend([twin.clone(), twin]);
        self.said("reload badly", "");
        self.call(Call::Other, |collector, _, now| {
            let reloaded = collector.reload(config, now);
            crate::model::owed!(reloaded.is_err(), "bad configurations are refused", "twins");
            Ok(())
        })
    }

    fn change_template(&mut self) -> Check {
        let source = self.source_name();
        let r = &mut self.random;
        let nth = r.below(self.profile.templates);
        let what = r.below(4);
        self.template_version += 1;
        let changed = template(nth, self.template_version, r);
        self.said(
            "change template",
            &format!("{what} of {source}: {changed:?}"),
        );
        self.call(Call::Catalog, |collector, model, now| {
            let mut config = model.config.clone();
            let catalog = config.sources.iter_mut().find(|s| s.name == source);
            let catalog = catalog
                .filter(|s| s.kind != SourceKind::Push)
                .map(|s| &mut s.templates);
            let Some(catalog) = catalog else {
                let refused = collector.register(&source, &changed).is_err();
                crate::model::owed!(refused, "unknown sources are named", "{source}");
                return Ok(());
            };
            let at = catalog.iter().position(|t| t.name == changed.name);
            match (what, at) {
                (0, at) => {
                    let gone = collector.unregister(&source, &changed.name, now).is_ok();
                    crate::model::owed!(
                        gone == at.is_some(),
                        "catalogs are as told",
                        "{changed:?}"
                    );
                    if let Some(at) = at {
                        catalog.remove(at);
                    }
                }
                (_, Some(at)) => {
                    let taken = collector.register(&source, &changed).is_err();
                    let updated = collector.update(&source, &changed, now).is_ok();
                    crate::model::owed!(taken && updated, "catalogs are as told", "{changed:?}");
                    catalog[at] = changed.clone();
                }
                (_, None) => {
                    let missing = collector.update(&source, &changed, now).is_err();
                    let added = collector.register(&source, &changed).is_ok();
                    crate::model::owed!(missing && added, "catalogs are as told", "{changed:?}");
                    catalog.push(changed.clone());
                }
            }
            model.catalog_changed(config, &source, &changed.name);
            Ok(())
        })
    }

    fn step_wall(&mut self) -> Check {
        let r = &mut self.random;
        let ms = pick(&[1, 900, 30_000, 600_000, 86_400_000], r) as i64;
        let ms = if chance(50, r) { ms } else { -ms };
        self.wall_shift_ms += ms;
        self.said("wall clock steps", &format!("{ms} ms"));
        self.model.wall_stepped(self.mono, ms);
        Ok(())
    }

    fn step_mono_back(&mut self) -> Check {
        // To read what is not kept takes no time, so the collector may not know how late it is.
        self.call(Call::Other, |collector, _, now| {
            collector.handle_timeout(now);
            Ok(())
        })?;
        let back = self.random.up_to(Duration::from_secs(20));
        let ns = self.mono.as_nanos().saturating_sub(back.as_nanos() as u64);
        let now = Now {
            mono: Instant::from_nanos(ns),
            ..self.now()
        };
        self.said("monotonic clock runs backwards", &format!("{back:?}"));
        self.call_at(Call::Other, now, |collector, _, now| {
            collector.handle_timeout(now);
            Ok(())
        })
    }

    /// A response to a fetch that was answered, to one that still is under way, or to none.
    fn stray(&mut self) -> Check {
        let r = &mut self.random;
        let id = match r.below(3) {
            0 => FetchId(u64::MAX - r.below(9)),
            1 if !self.answered.is_empty() => {
                self.answered[r.below(self.answered.len() as u64) as usize]
            }
            _ => match self.cancelled.iter().next_back() {
                Some(id) => *id,
                None => FetchId(1 << 40),
            },
        };
        if self.model.under_way().any(|fetch| fetch == id) {
            return Ok(());
        }
        let truth = Truth {
            server: "nobody",
            text: "stray",
            evaluated_us: 0,
            dated_ms: WALL_MS,
            value: Some(0),
            partial: false,
            range: None,
        };
        let delivery = server::good(&truth);
        debug_assert_eq!(delivery.meaning, Meaning::Good);
        self.respond(id, &delivery)
    }

    fn record(&mut self) -> Check {
        let wall_ms = self.now().wall.0;
        let ago_ms = self.random.below(3_000) as i64;
        let labels = Labels::from_pairs([("__name__", "pushed"), ("k", "v")]);
        let record = Record {
            source: PUSHED.into(),
            families: Vec::new(),
            samples: vec![Sample {
                labels: labels.expect("two plain labels"),
                timestamp_ms: wall_ms - ago_ms,
                value: 1.0,
            }],
        };
        self.call(Call::Other, |collector, model, now| {
            let exists = model
                .config
                .sources
                .iter()
                .any(|source| source.name == PUSHED);
            let recorded = collector.record(&record, now);
            crate::model::owed!(
                recorded.is_ok() == exists,
                "only what is configured pushes",
                "{recorded:?}"
            );
            if recorded.is_ok_and(|recorded| recorded.accepted == 1) {
                model.marks.hit("sample recorded");
            }
            let local = collector.query(&Ask::promql("pushed").of("local"), now);
            crate::model::owed!(
                matches!(local, Ok(Lookup::Ready(_))),
                "local answers at once",
                "{local:?}"
            );
            Ok(())
        })
    }
}

/// With what keys begin: of templates, and of ranges.
fn pick_text(r: &mut Random) -> &'static str {
    ["t", ":query=range", ":query=range0"][r.below(3) as usize]
}

/// Some other settings for a source; its thresholds stay.
fn change(source: &mut SourceConfig, r: &mut Random) {
    let ms = |of: &[u64], r: &mut Random| Duration::from_millis(pick(of, r));
    match r.below(6) {
        0 => source.ttl = ms(&[1_000, 10_000, 30_000], r),
        1 => source.fetch_interval = ms(&[0, 5_000, 30_000], r),
        2 => source.timeout = ms(&[1_000, 10_000], r),
        3 => source.refusal_ttl = ms(&[0, 5_000], r),
        4 => source.retry.retries_max = pick(&[0, 1, 3], r) as u32,
        _ => {
            let was_plugin = source.kind == SourceKind::Plugin;
            source.kind = if was_plugin {
                SourceKind::Prometheus
            } else {
                SourceKind::Plugin
            };
        }
    }
}
