//! What is owed to those who ask about ranges: each point as the server said it, and no older than
//! it may be.
//!
//! The model keeps all that was ever said and knows nothing of extents or pieces. Of an answer it
//! looks at each instant: some response must have said just that about it, one that is recent
//! enough and newer than the last invalidation. Where settled responses say all that is asked for,
//! nothing is fetched.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::{
    Answer, Ask, AskId, Fetch, Instant, Invalidation, Lookup, Provenance, QueryError, Range, Reply,
    UnixMillis,
};
use tidegate_wire::Data;
use tidegate_wire::form::decode_form;
use tidegate_wire::number::{parse_api_duration_ns, parse_timestamp_ms};

use super::upstream::ttl;
use super::{Check, Landing, Meaning, Model, owed};
use crate::truth::{Edition, SERIES};

/// Of a window, as much as this part of it may be fetched beyond it.
const AHEAD_PART: i64 = 4;

/// A question about a range, without its window's ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Track {
    /// The source asked.
    pub source: String,
    /// What is asked.
    pub text: String,
    /// From one instant to the next.
    pub step_ms: i64,
    /// Of each instant, what is left of whole steps.
    pub phase_ms: i64,
}

/// What is fetched of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    pub(super) track: Track,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// The end as it is asked for, where no instant need be.
    end_ms: i64,
}

/// A response as the model remembers it.
#[derive(Clone, Debug)]
struct Said {
    piece: Piece,
    edition: Edition,
    began: Instant,
    landed: Instant,
    is_whole: bool,
}

/// The range that a fetch asks about, if it asks about one.
pub fn range_of(fetch: &Fetch) -> Option<Range> {
    let form = decode_form(&fetch.request.form).ok()?;
    let value = |name: &str| {
        form.iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    Some(Range {
        start: UnixMillis(parse_timestamp_ms(value("start")?).ok()?),
        end: UnixMillis(parse_timestamp_ms(value("end")?).ok()?),
        step: Duration::from_nanos(parse_api_duration_ns(value("step")?).ok()? as u64),
    })
}

/// Somebody who waits.
#[derive(Clone, Debug)]
struct Asker {
    piece: Piece,
    asked: Instant,
    anew: bool,
    deadline: Instant,
}

/// All that is known about ranges.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    said: Vec<Said>,
    /// All that was ever asked about, with when it was asked last.
    asked: BTreeMap<Piece, Instant>,
    /// What was answered past its ttl, with when it was last, for it is fetched behind that.
    served_stale: BTreeMap<Piece, Instant>,
    askers: BTreeMap<AskId, Asker>,
    /// What is said before is out of date, by source and text.
    valid_from: BTreeMap<(String, String), Instant>,
    /// Pieces that wait for another try, with their deadlines.
    resting: BTreeMap<Piece, Instant>,
    /// Since when what is settled is kept for sure.
    sure_from: Instant,
}

impl Track {
    fn of(source: &str, text: &str, range: Range) -> Piece {
        let step_ms = range.step.as_millis() as i64;
        let steps = (range.end.0 - range.start.0) / step_ms;
        Piece {
            track: Self {
                source: source.to_owned(),
                text: text.to_owned(),
                step_ms,
                phase_ms: range.start.0.rem_euclid(step_ms),
            },
            first_ms: range.start.0,
            last_ms: range.start.0 + steps * step_ms,
            end_ms: range.end.0,
        }
    }

    fn stem(&self) -> String {
        format!("{}/:query={}", self.source, self.text)
    }
}

impl Piece {
    pub(super) fn of(fetch: &Fetch) -> Option<Self> {
        let form = decode_form(&fetch.request.form).ok()?;
        let (_, text) = form.iter().find(|(name, _)| name == "query")?;
        Some(Track::of(&fetch.source, text, range_of(fetch)?))
    }

    fn instants(&self) -> impl Iterator<Item = i64> + use<> {
        (self.first_ms..=self.last_ms).step_by(self.track.step_ms as usize)
    }

    fn has(&self, at_ms: i64) -> bool {
        (self.first_ms..=self.last_ms).contains(&at_ms)
    }
}

impl Said {
    /// Whether it is the last word on this instant.
    fn settles(&self, at_ms: i64) -> bool {
        self.edition.is_settled(&self.piece.track.text, at_ms)
    }
}

impl Ranges {
    pub(super) fn waiting(&self) -> impl Iterator<Item = AskId> {
        self.askers.keys().copied()
    }

    pub(super) fn waiting_for(&self, source: &str) -> usize {
        let of = |asker: &&Asker| asker.piece.track.source == source;
        self.askers.values().filter(of).count()
    }

    pub(super) fn leave(&mut self, ask: AskId) -> Option<Instant> {
        self.askers.remove(&ask).map(|asker| asker.deadline)
    }

    pub(super) fn invalidated(&mut self, what: &Invalidation, now: Instant) {
        let said = self.said.iter().map(|said| &said.piece.track);
        let asked = self.askers.values().map(|asker| &asker.piece.track);
        for track in said.chain(asked) {
            let is_covered = match what {
                Invalidation::All => true,
                Invalidation::Source(source) => track.source == *source,
                Invalidation::Prefix(prefix) => track.stem().starts_with(prefix.as_str()),
                Invalidation::Key(_) | Invalidation::Template { .. } => false,
            };
            if is_covered {
                let of = (track.source.clone(), track.text.clone());
                self.valid_from.insert(of, now);
            }
        }
        if self.valid_from.values().any(|at| *at == now) {
            self.resting.clear();
        }
    }

    /// A source is gone, and what it said with it.
    pub(super) fn source_removed(&mut self, source: &str) {
        self.said.retain(|said| said.piece.track.source != source);
    }

    /// Something happened that may have cost what was kept.
    pub(super) fn unsure(&mut self, now: Instant) {
        self.sure_from = now;
    }

    /// Whether a fetch is another try.
    pub(super) fn is_retry(&mut self, piece: &Piece, deadline: Instant) -> bool {
        self.resting.remove(piece) == Some(deadline)
    }

    pub(super) fn rests(&mut self, piece: Piece, deadline: Instant) {
        self.resting.insert(piece, deadline);
    }

    fn valid_from(&self, track: &Track) -> Instant {
        let of = (track.source.clone(), track.text.clone());
        self.valid_from.get(&of).copied().unwrap_or(Instant::ZERO)
    }
}

impl Model {
    /// A range was asked about, and this was said at once.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn asked_range(
        &mut self,
        ask: &Ask,
        text: &str,
        lookup: &Result<Lookup, QueryError>,
    ) -> Check {
        self.marks.hit("ask about a range");
        let (source, range) = (&ask.sources[0], ask.range.expect("a range is asked about"));
        let Some(upstream) = self.upstreams.get(source) else {
            let named = matches!(lookup, Err(QueryError::UnknownSource { .. }));
            owed!(named, "unknown sources are named", "{lookup:?}");
            return Ok(());
        };
        let timeout = upstream.settings.timeout;
        let patience = ask.timeout.map_or(timeout, |own| own.min(timeout));
        let piece = Track::of(source, text, range);
        self.ranges.asked.insert(piece.clone(), self.now.mono);
        let asker = Asker {
            piece,
            asked: self.now.mono,
            anew: ask.max_age.is_some_and(|max| max.is_zero()),
            deadline: self.now.mono + patience,
        };
        match lookup {
            Ok(Lookup::Ready(answer)) => {
                self.marks.hit("range from memory");
                if answer.provenance == Provenance::Stale {
                    let piece = asker.piece.clone();
                    self.ranges.served_stale.insert(piece, self.now.mono);
                }
                self.check_range(answer, &asker)
            }
            Ok(Lookup::Pending(id)) => {
                let lacks = asker
                    .piece
                    .instants()
                    .find(|at| !self.is_kept(&asker.piece, *at));
                owed!(
                    asker.anew || lacks.is_some() || !self.is_sure(),
                    "what is settled is not fetched again",
                    "{:?}",
                    asker.piece
                );
                self.deadlines.insert((asker.deadline, *id));
                let former = self.ranges.askers.insert(*id, asker);
                owed!(former.is_none(), "ids are given once", "{id:?}");
                Ok(())
            }
            // Full queues, and refusals that are remembered.
            Err(_) => Ok(()),
        }
    }

    /// Whether more than room and clocks decides what is kept.
    fn is_sure(&self) -> bool {
        self.is_strict() && self.config.cache.enabled && self.steps_back.is_empty()
    }

    /// Whether a point was said for good, a while ago at most. What adjoins may be kept as one, and
    /// is then as old as the first of it.
    fn is_kept(&self, piece: &Piece, at_ms: i64) -> bool {
        let now = self.now.mono;
        let age_max = self.settled_ages.first().copied().unwrap_or_default();
        let from = self.ranges.valid_from(&piece.track);
        let of_track = |said: &&Said| said.is_whole && said.piece.track == piece.track;
        let all = || self.ranges.said.iter().filter(of_track);
        all().any(|said| {
            let kept_by_then = |first: &&Said| {
                first.landed <= said.landed && said.landed.since(first.landed) < age_max
            };
            let first = all().filter(kept_by_then).map(|first| first.landed).min();
            said.piece.has(at_ms)
                && said.settles(at_ms)
                && said.began >= from.max(self.ranges.sure_from)
                && first.is_some_and(|first| now.since(first) < age_max)
        })
    }

    pub(super) fn range_reply(&mut self, reply: &Reply) -> Option<Check> {
        let asker = self.ranges.askers.remove(&reply.ask)?;
        self.deadlines.remove(&(asker.deadline, reply.ask));
        Some(match &reply.result {
            Ok(answer) => {
                self.marks.hit("range delivered");
                self.check_range(answer, &asker)
            }
            Err(_) => {
                self.marks.hit("range failed");
                Ok(())
            }
        })
    }

    /// Each point of the answer is what some response said about it.
    fn check_range(&mut self, answer: &Answer, asker: &Asker) -> Check {
        if answer.provenance == Provenance::Partial {
            self.marks.hit("range in part from memory");
        }
        let Data::Matrix(columns) = &answer.payload.response.data else {
            owed!(false, "ranges are answered by matrices", "{:?}", answer.key);
            return Ok(());
        };
        let mut points: BTreeMap<i64, [Option<u64>; SERIES.len()]> = BTreeMap::new();
        for series in columns.iter() {
            let name = series.label("series").unwrap_or_default();
            let nth = SERIES.iter().position(|known| *known == name);
            owed!(nth.is_some(), "series are the server's own", "{name:?}");
            for (at_ms, value) in series.timestamps_ms().iter().zip(series.values()) {
                let point = points.entry(*at_ms).or_default();
                point[nth.unwrap_or_default()] = Some(value.to_bits());
            }
        }
        let oldest = self.oldest(answer, asker);
        let is_warned = !answer.payload.response.warnings.is_empty();
        for at_ms in asker.piece.instants() {
            let point = points.remove(&at_ms).unwrap_or_default();
            let mut about = self.ranges.said.iter().filter(|said| {
                said.piece.track == asker.piece.track
                    && said.piece.has(at_ms)
                    && said.edition.says(&asker.piece.track.text, at_ms) == point
            });
            let fits = |said: &Said| {
                let from = if said.settles(at_ms) {
                    oldest.0
                } else {
                    oldest.1
                };
                said.edition.evaluated >= from
            };
            owed!(
                about.clone().next().is_some(),
                "each point is as it was said",
                "{} at {at_ms}: {point:?} of {:?}",
                answer.key,
                asker
            );
            owed!(
                is_warned || about.clone().any(|said| said.is_whole),
                "what may be partial is not kept",
                "{} at {at_ms}: {point:?} of {:?}",
                answer.key,
                asker
            );
            owed!(
                about.any(fits),
                "no point is older than it may be",
                "{} at {at_ms}: {point:?}, {:?} of {:?}, oldest {oldest:?}",
                answer.key,
                answer.provenance,
                asker
            );
        }
        owed!(
            points.is_empty(),
            "no point that was not asked for",
            "{}: {points:?}",
            answer.key
        );
        Ok(())
    }

    /// Since when settled points may be from, and others.
    fn oldest(&self, answer: &Answer, asker: &Asker) -> (Instant, Instant) {
        let valid = self.ranges.valid_from(&asker.piece.track);
        if matches!(
            answer.provenance,
            Provenance::StaleOnError | Provenance::Stale
        ) {
            return (valid, valid);
        }
        let upstream = &self.upstreams[&asker.piece.track.source];
        let widest = |settings: &tidegate_core::SourceConfig| {
            ttl(settings, None).max(settings.ttl_max.unwrap_or_default())
        };
        let ever = upstream.since(Instant::ZERO);
        let ttl_max = ever.map(widest).max().unwrap_or_default();
        let under_way = upstream.timeout_max() + self.lateness;
        let age_max = self.settled_ages.last().copied().unwrap_or_default();
        let before = |span: Duration| {
            let ns = asker
                .asked
                .as_nanos()
                .saturating_sub(span.as_nanos() as u64);
            Instant::from_nanos(ns).max(valid)
        };
        (before(age_max + under_way), before(ttl_max + under_way))
    }

    /// A piece is fetched: somebody must wait for a part of it, all of it must have been within
    /// somebody's reach, and nobody have it under way.
    pub(super) fn justify_range(&self, piece: &Piece) -> Check {
        let overlaps = |asked: &Piece| {
            asked.track == piece.track
                && piece.first_ms <= asked.last_ms
                && asked.first_ms <= piece.last_ms
        };
        // A window that moves on is fetched ahead of where it goes, by a part of it.
        let reaches = |asked: &Piece| {
            let ahead_ms = (asked.last_ms - asked.first_ms) / AHEAD_PART + asked.track.step_ms;
            asked.first_ms - ahead_ms <= piece.first_ms && piece.last_ms <= asked.last_ms + ahead_ms
        };
        let is_waited_for = self
            .ranges
            .askers
            .values()
            .any(|asker| overlaps(&asker.piece));
        // Whoever asked may have left it to others who wait for a part.
        let upstream = &self.upstreams[&piece.track.source];
        let under_way = 2 * (upstream.timeout_max() + self.lateness);
        let lately = |asked: &Instant| self.now.mono.since(*asked) <= under_way;
        let mut asked = self.ranges.asked.iter().filter(|(_, at)| lately(at));
        let is_behind = self.ranges.served_stale.get(piece).is_some_and(lately);
        owed!(
            (is_waited_for || is_behind)
                && asked.any(|(asked, _)| overlaps(asked) && reaches(asked)),
            "no range is fetched that nobody asked for",
            "{piece:?}"
        );
        let twin = self
            .fetches
            .values()
            .any(|fetch| fetch.range.as_ref() == Some(piece));
        let anew = self.ranges.askers.values().any(|asker| asker.anew);
        owed!(
            !twin || anew,
            "one fetch per piece",
            "{piece:?} is under way"
        );
        Ok(())
    }

    /// A response to a piece came.
    pub(super) fn range_landed(&mut self, landing: &Landing) {
        let (Some(piece), Some(edition)) = (landing.fetch.range.clone(), landing.edition) else {
            return;
        };
        if !matches!(landing.meaning, Meaning::Good | Meaning::Partial) {
            return;
        }
        self.marks.hit("piece of a range landed");
        self.ranges.said.push(Said {
            piece,
            edition,
            began: landing.fetch.began,
            landed: self.now.mono,
            is_whole: landing.meaning == Meaning::Good,
        });
    }
}
