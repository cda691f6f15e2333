//! What a dashboard asks: the same panels again and again, each time a little further.

use tidegate_core::Random;
use tidegate_e2e::encode_form;

use crate::expressions::{Expressions, Family};

/// No panel is wider; the longest bodies then stay below a megabyte.
const STEPS_MAX: i64 = 180;

/// One request, to whoever serves Prometheus' API.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    path: String,
    params: Vec<(&'static str, String)>,
    posted: bool,
    /// Whether the order of a vector is part of the answer.
    pub(crate) ordered: bool,
}

impl Question {
    fn new(path: &str, params: Vec<(&'static str, String)>, random: &mut Random) -> Self {
        let ordered = params
            .iter()
            .any(|(name, value)| *name == "query" && value.starts_with("sort"));
        let mut question = Self {
            path: path.to_owned(),
            params,
            posted: random.below(4) == 0,
            ordered,
        };
        if random.below(2) == 0 {
            question.params.reverse();
        }
        if question.path.contains("/label/") || question.path.ends_with("metadata") {
            question.posted = false;
        }
        question
    }

    /// The same at this instant.
    pub(crate) fn at(&self, time: &str) -> Self {
        let mut question = self.clone();
        question.params.push(("time", time.to_owned()));
        question
    }

    /// Whether the answer is about whatever moment it is made at.
    pub(crate) fn is_of_now(&self) -> bool {
        self.path.ends_with("/query") && !self.params.iter().any(|(name, _)| *name == "time")
    }

    /// Path and form, as GET or POST.
    pub(crate) fn request(&self) -> (bool, &str, String) {
        let pairs: Vec<(&str, &str)> = self
            .params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        (self.posted, &self.path, encode_form(&pairs))
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = if self.posted { "POST" } else { "GET" };
        write!(f, "{method} {}", self.path)?;
        for (name, value) in &self.params {
            write!(f, "\n      {name} = {value}")?;
        }
        Ok(())
    }
}

/// From when to when panels look, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

/// A panel of a dashboard: an expression, and the window it shows.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    family: Family,
    query: String,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Panel {
    pub(crate) fn open(family: Family, span: Span, random: &mut Random) -> Self {
        let query = Expressions::about(family, random).any();
        let mut panel = Self {
            family,
            query,
            start_ms: 0,
            end_ms: 0,
            step_ms: 1,
        };
        panel.jump(span, random);
        panel
    }

    /// Looks elsewhere, and asks.
    pub(crate) fn next(&mut self, span: Span, random: &mut Random) -> Question {
        let steps = |random: &mut Random, most: u64| (1 + random.below(most)) as i64;
        match random.below(20) {
            // As dashboards do: on by a few steps.
            0..=7 => self.slide(steps(random, 5) * self.step_ms),
            8 => self.slide(-steps(random, 9) * self.step_ms),
            9 => self.start_ms -= steps(random, 20) * self.step_ms,
            10 => self.end_ms += steps(random, 20) * self.step_ms,
            11 => self.slide(random.below(self.step_ms as u64) as i64),
            12 => self.step_ms = self.step(random),
            13 => self.start_ms += (self.end_ms - self.start_ms) / 3,
            14 => {
                let width = self.end_ms - self.start_ms;
                self.start_ms -= width / 2;
                self.end_ms += width / 2;
            }
            15 => self.jump(span, random),
            // Again.
            16 | 17 => {}
            18 => return self.instant(span, random),
            _ => return self.listing(random),
        }
        self.keep_within(span);
        let params = vec![
            ("query", self.query.clone()),
            ("start", seconds(self.start_ms)),
            ("end", seconds(self.end_ms)),
            ("step", self.step_text(random)),
        ];
        Question::new("/api/v1/query_range", params, random)
    }

    fn slide(&mut self, by_ms: i64) {
        self.start_ms += by_ms;
        self.end_ms += by_ms;
    }

    fn jump(&mut self, span: Span, random: &mut Random) {
        self.step_ms = self.step(random);
        let width = span.to_ms - span.from_ms;
        self.start_ms = span.from_ms + random.below(width as u64) as i64;
        if random.below(2) == 0 {
            self.start_ms -= self.start_ms % self.step_ms;
        }
        self.end_ms = self.start_ms + random.below(STEPS_MAX as u64) as i64 * self.step_ms;
        if random.below(3) == 0 {
            self.end_ms += random.below(self.step_ms as u64) as i64;
        }
        self.keep_within(span);
    }

    fn step(&self, random: &mut Random) -> i64 {
        let steps: &[i64] = match self.family {
            Family::Past => &[15_000, 15_000, 60_000, 7_000, 30_000, 33_333, 300_000],
            Family::Live => &[1_000, 1_000, 500, 250, 2_000, 777],
        };
        steps[random.below(steps.len() as u64) as usize]
    }

    fn keep_within(&mut self, span: Span) {
        self.start_ms = self.start_ms.clamp(span.from_ms, span.to_ms);
        let most = (self.start_ms + STEPS_MAX * self.step_ms).min(span.to_ms);
        self.end_ms = self.end_ms.clamp(self.start_ms, most);
    }

    /// The step as one client or another writes it.
    fn step_text(&self, random: &mut Random) -> String {
        match random.below(3) {
            0 if self.step_ms % 60_000 == 0 => format!("{}m", self.step_ms / 60_000),
            0 | 1 => seconds(self.step_ms),
            _ => format!("{}ms", self.step_ms),
        }
    }

    fn instant(&self, span: Span, random: &mut Random) -> Question {
        let mut params = vec![("query", self.query.clone())];
        if self.family == Family::Live || random.below(3) > 0 {
            let time = match random.below(3) {
                0 => self.end_ms,
                1 => self.start_ms,
                _ => span.from_ms + random.below((span.to_ms - span.from_ms) as u64) as i64,
            };
            params.push(("time", seconds(time)));
        }
        if random.below(4) == 0 {
            params.push(("timeout", "20s".to_owned()));
        }
        Question::new("/api/v1/query", params, random)
    }

    fn listing(&self, random: &mut Random) -> Question {
        let mut params = vec![
            ("start", seconds(self.start_ms)),
            ("end", seconds(self.end_ms)),
        ];
        let matchers: &[&str] = match self.family {
            Family::Past => &["temp", "flap{half=\"1\"}", "{job=~\"j[01]\"}", "nobody"],
            // What a live target lists changes; the past's names do not.
            Family::Live => &["once", "sparse"],
        };
        for _ in 0..=random.below(2) {
            let matcher = matchers[random.below(matchers.len() as u64) as usize];
            params.push(("match[]", matcher.to_owned()));
        }
        let path = match random.below(4) {
            0 => "/api/v1/labels",
            1 => "/api/v1/label/job/values",
            2 => "/api/v1/label/odd/values",
            _ => "/api/v1/series",
        };
        Question::new(path, params, random)
    }
}

/// Seconds as a client writes them.
fn seconds(ms: i64) -> String {
    if ms % 1_000 == 0 {
        (ms / 1_000).to_string()
    } else {
        format!("{}.{:03}", ms / 1_000, ms % 1_000)
    }
}
