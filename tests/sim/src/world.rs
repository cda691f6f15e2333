//! One run: a collector, its servers, its askers and its driver, under virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use tidegate_core::{Collector, Fetch, FetchId, Handle, Instant, Now, Output, Random, UnixMillis};

use crate::marks::Marks;
use crate::model::{Call, Check, Model, Stay, Violation, range_of};
use crate::profile::{Act, Profile, chance, pick, weighted};
use crate::server::{self, Delivery, Server};
use crate::truth::{Edition, Truth};

mod acts;
mod digest;

use digest::{Digest, tell};

/// The wall clock when a run begins, in milliseconds since 1970.
const WALL_MS: i64 = 1_700_000_000_000;

/// What nobody asked for is over within this time: settled answers are believed for ten minutes,
/// and everything else lasts less.
const REST: Duration = Duration::from_secs(1_800);

/// A run that wakes up more often than this waits busily.
const WAKES_MAX: u64 = 200_000;

/// What is to happen on the way between collector and servers.
#[derive(Clone, Debug)]
enum Coming {
    /// A fetch arrives at its server.
    Arrival(Fetch),
    /// A response arrives at the collector.
    Response(FetchId, Delivery),
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A digest of every output and its time.
    pub digest: u64,
    /// What was done.
    pub marks: Marks,
    /// How many calls were made.
    pub calls: u64,
    /// How much virtual time passed.
    pub span: Duration,
    /// The first rule broken, and when.
    pub violation: Option<(Duration, Violation)>,
}

/// One run.
#[derive(Debug)]
pub struct World {
    profile: Profile,
    random: Random,
    collector: Collector,
    model: Model,
    servers: BTreeMap<String, Server>,
    mono: Instant,
    wall_shift_ms: i64,
    coming: BTreeMap<(Instant, u64), Coming>,
    next_coming: u64,
    wakes_at: Option<Instant>,
    digest: Digest,
    calls: u64,
    wakes: u64,
    template_version: u64,
    answered: Vec<FetchId>,
    handles: Vec<(Handle, Stay)>,
    cancelled: BTreeSet<FetchId>,
    trace: bool,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64, trace: bool) -> Self {
        let profile = Profile::of(seed);
        let now = Now {
            mono: Instant::ZERO,
            wall: UnixMillis(WALL_MS),
        };
        let collector = Collector::new(profile.config.clone(), now);
        if trace {
            println!("{profile:#?}");
        }
        Self {
            model: Model::new(profile.config.clone(), profile.lateness, now),
            collector: collector.expect("profiles make valid configurations"),
            random: Random::new(seed),
            servers: BTreeMap::new(),
            mono: Instant::ZERO,
            wall_shift_ms: 0,
            coming: BTreeMap::new(),
            next_coming: 0,
            wakes_at: Some(Instant::ZERO),
            digest: Digest::default(),
            calls: 0,
            wakes: 0,
            template_version: 0,
            answered: Vec::new(),
            handles: Vec::new(),
            cancelled: BTreeSet::new(),
            trace,
            profile,
        }
    }

    /// Runs to the end or to the first rule broken.
    pub fn run(mut self) -> Outcome {
        let result = self.play();
        let span = self.mono.since(Instant::ZERO);
        Outcome {
            digest: self.digest.0,
            marks: self.model.marks,
            calls: self.calls,
            span,
            violation: result.err().map(|violation| (span, violation)),
        }
    }

    fn play(&mut self) -> Check {
        for _ in 0..self.profile.acts {
            let act = weighted(&self.profile.act_weights, &mut self.random);
            let gap = if act == Act::Pause {
                Duration::from_secs(pick(&[20, 90, 400], &mut self.random))
            } else {
                self.profile.gap * pick(&[0, 1, 1, 2, 4], &mut self.random) as u32
            };
            self.pass(gap)?;
            self.model.marks.hit(act.name());
            self.act(act)?;
        }
        self.pass(self.profile.gap)?;
        self.model.kept_warm(&self.collector)?;
        for server in self.servers.values_mut() {
            *server = Server {
                edition: server.edition,
                ..Server::default()
            };
        }
        self.pass(REST)?;
        self.model.at_rest(&self.collector)
    }

    fn now(&self) -> Now {
        let ms = (self.mono.as_nanos() / 1_000_000) as i64;
        Now {
            mono: self.mono,
            wall: UnixMillis(WALL_MS + ms + self.wall_shift_ms),
        }
    }

    /// Lets time pass, and what is due in it happen.
    fn pass(&mut self, span: Duration) -> Check {
        let until = self.mono + span;
        loop {
            let response = self.coming.first_key_value().map(|((at, _), _)| *at);
            let wake = self.wakes_at;
            let next = match (response, wake) {
                (Some(response), Some(wake)) => response.min(wake),
                (one, other) => one.or(other).unwrap_or(until),
            };
            if next > until {
                break;
            }
            self.mono = self.mono.max(next);
            if response == Some(next) {
                let (_, coming) = self.coming.pop_first().expect("it was just seen");
                self.comes(coming)?;
            } else {
                self.wake()?;
            }
        }
        self.mono = until;
        Ok(())
    }

    fn wake(&mut self) -> Check {
        self.wakes += 1;
        if self.wakes > WAKES_MAX {
            return Err(Violation {
                rule: "no busy waiting",
                detail: format!("woken {} times", self.wakes),
            });
        }
        self.call(Call::Timeout, |collector, _, now| {
            collector.handle_timeout(now);
            Ok(())
        })
    }

    /// Makes a call, drains what it led to, and checks all of it.
    fn call(
        &mut self,
        call: Call,
        act: impl FnOnce(&mut Collector, &mut Model, Now) -> Check,
    ) -> Check {
        let now = self.now();
        self.call_at(call, now, act)
    }

    fn call_at(
        &mut self,
        call: Call,
        now: Now,
        act: impl FnOnce(&mut Collector, &mut Model, Now) -> Check,
    ) -> Check {
        self.calls += 1;
        self.model.begin(call, now, self.collector.stats());
        act(&mut self.collector, &mut self.model, now)?;
        let mut outputs = Vec::new();
        let deadline = loop {
            let output = self.collector.poll_output();
            if let Output::Wait(deadline) = output {
                break deadline;
            }
            outputs.push(output);
        };
        self.tell(&outputs, deadline.map(|deadline| deadline.at));
        self.model.outputs(&outputs)?;
        self.model.after(&self.collector)?;
        self.model.waits(deadline)?;
        self.wakes_at = deadline.map(|deadline| {
            let late = self.random.up_to(self.profile.lateness);
            deadline.at.max(self.mono) + late
        });
        for output in outputs {
            match output {
                Output::Fetch(fetch) => self.send(fetch),
                Output::Cancel(id) => drop(self.cancelled.insert(id)),
                Output::Reply(_)
                | Output::Event(_)
                | Output::Forget(_)
                | Output::Append(_)
                | Output::Wait(_) => {}
            }
        }
        Ok(())
    }

    fn tell(&mut self, outputs: &[Output], wait: Option<Instant>) {
        let now = self.mono;
        for output in outputs {
            tell(&mut self.digest, now, output);
            if self.trace {
                let mut line = String::new();
                tell(&mut line, now, output);
                println!("{line}");
            }
        }
        let _ = write!(self.digest, "{wait:?}");
    }

    fn schedule(&mut self, after: Duration, coming: Coming) {
        self.next_coming += 1;
        self.coming
            .insert((self.mono + after, self.next_coming), coming);
    }

    fn send(&mut self, fetch: Fetch) {
        let server = self.servers.entry(fetch.source.to_string()).or_default();
        let way = server.way(&self.profile, &mut self.random);
        self.schedule(way, Coming::Arrival(fetch));
    }

    fn comes(&mut self, coming: Coming) -> Check {
        match coming {
            Coming::Arrival(fetch) => {
                self.arrives(&fetch);
                Ok(())
            }
            Coming::Response(id, delivery) => self.respond(id, &delivery),
        }
    }

    /// A server looks at a fetch, decides, and answers.
    fn arrives(&mut self, fetch: &Fetch) {
        let r = &mut self.random;
        if self.cancelled.contains(&fetch.id) && !chance(self.profile.late_percent, r) {
            return;
        }
        let form = tidegate_wire::form::decode_form(&fetch.request.form).unwrap_or_default();
        let value = |name: &str| {
            form.iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        let text = value("query").unwrap_or("up");
        let asked_ms = value("time").and_then(|time| time.replace('.', "").parse().ok());
        let evaluated_us = self.mono.as_nanos() / 1_000;
        let still_us = self.profile.still.as_micros() as u64;
        let wall = WALL_MS + (evaluated_us / 1_000) as i64 + self.wall_shift_ms;
        let server = self.servers.entry(fetch.source.to_string()).or_default();
        let edition = Edition {
            number: server.edition,
            evaluated: self.mono,
            wall_ms: wall,
            is_partial: false,
        };
        let truth = Truth {
            server: &fetch.source,
            text,
            evaluated_us,
            dated_ms: asked_ms.unwrap_or(wall),
            // Some questions have an empty answer.
            value: (!text.contains("empty"))
                .then(|| evaluated_us.checked_div(still_us).unwrap_or(evaluated_us)),
            partial: false,
            range: range_of(fetch).map(|range| (range, edition)),
        };
        let delivery = match server.fault(&self.profile, r) {
            None => Some(server::good(&truth)),
            Some(fault) => {
                self.model.marks.hit(fault.name());
                server::failed(fault, &truth, r)
            }
        };
        let Some(delivery) = delivery else { return };
        let way = server.way(&self.profile, r);
        if chance(self.profile.duplicates_percent, r) {
            let later = way + server.way(&self.profile, r);
            self.model.marks.hit("duplicate response");
            self.schedule(later, Coming::Response(fetch.id, delivery.clone()));
        }
        self.schedule(way, Coming::Response(fetch.id, delivery));
    }

    fn respond(&mut self, id: FetchId, delivery: &Delivery) -> Check {
        self.answered.push(id);
        self.call(Call::Response, |collector, model, now| {
            let before = collector.stats().responses_ignored;
            let awaited = model.lands(id, delivery);
            collector.handle_response(id, delivery.result.clone(), now);
            let ignored = collector.stats().responses_ignored - before;
            crate::model::owed!(
                ignored == u64::from(!awaited),
                "late and duplicate responses are ignored",
                "{id:?}: awaited {awaited}, ignored {ignored}"
            );
            Ok(())
        })
    }
}
