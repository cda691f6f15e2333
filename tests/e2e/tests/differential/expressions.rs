//! Expressions in PromQL, made up.
//!
//! Prometheus 2.42 keeps the series of what is neither a selector nor a function of a range of one
//! in a hash map: what adds up floats over such a thing, or ranks it, may say otherwise the next
//! time. So only what does not care about the order is put around those.

use tidegate_core::Random;

/// A family of series that expressions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// What was scraped long ago.
    Past,
    /// What is being scraped now, every second.
    Live,
}

/// A metric: its name, matchers that some of its series meet, its labels, whether it only rises.
struct Metric {
    name: &'static str,
    matchers: &'static [&'static str],
    labels: &'static [&'static str],
    rises: bool,
}

const PAST: [Metric; 7] = [
    Metric {
        name: "requests_total",
        matchers: &[
            "job=\"j1\"",
            "method=\"GET\",code!=\"200\"",
            "instance=~\"i[12]\"",
            "code!~\"4..\",job=\"j0\"",
        ],
        labels: &["job", "instance", "method", "code"],
        rises: true,
    },
    Metric {
        name: "temp",
        matchers: &[
            "room=\"r1\"",
            "odd=\"plain\"",
            "odd=\"\"",
            "odd=~\".*[<ü].*\"",
        ],
        labels: &["room", "odd"],
        rises: false,
    },
    Metric {
        name: "flap",
        matchers: &["half=\"1\"", "n=~\"1.\"", "n=\"3\""],
        labels: &["n", "half"],
        rises: false,
    },
    Metric {
        name: "sparse",
        matchers: &["every=\"29\"", "every=~\"16|97\""],
        labels: &["every"],
        rises: false,
    },
    Metric {
        name: "once",
        matchers: &["n=\"5\"", "n!=\"7\""],
        labels: &["n"],
        rises: false,
    },
    Metric {
        name: "latency_count",
        matchers: &["job=\"j1\"", "instance=\"i1\""],
        labels: &["job", "instance"],
        rises: true,
    },
    Metric {
        name: "nobody_has_this_name",
        matchers: &["x=\"y\""],
        labels: &["x"],
        rises: false,
    },
];

const LIVE: [Metric; 4] = [
    Metric {
        name: "live_total",
        matchers: &["half=\"0\"", "n=~\"[2-5]\""],
        labels: &["n", "half"],
        rises: true,
    },
    Metric {
        name: "live_flap",
        matchers: &["n=\"4\"", "n!~\"[13]\""],
        labels: &["n"],
        rises: false,
    },
    Metric {
        name: "live_odd",
        matchers: &["job=\"live\""],
        labels: &["job", "instance"],
        rises: false,
    },
    Metric {
        name: "up",
        matchers: &["job=\"live\""],
        labels: &["job", "instance"],
        rises: false,
    },
];

/// How deep expressions nest.
const DEPTH: u32 = 3;

/// Makes expressions up.
pub(crate) struct Expressions<'a> {
    random: &'a mut Random,
    family: Family,
}

impl<'a> Expressions<'a> {
    pub(crate) const fn about(family: Family, random: &'a mut Random) -> Self {
        Self { random, family }
    }

    /// An expression of any type.
    pub(crate) fn any(&mut self) -> String {
        match self.random.below(40) {
            0 => self.scalar(),
            1 => format!("sort_desc({})", self.vector(1)),
            2 => format!("absent({})", self.selector()),
            3 => format!("absent_over_time({})", self.ranged()),
            _ => self.vector(DEPTH),
        }
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.selector();
        }
        match self.random.below(20) {
            0 | 1 => self.selector(),
            2..=4 => self.risen(),
            5..=7 => self.over_time(),
            8..=11 => self.aggregated(depth - 1),
            12 => self.ranked(depth - 1),
            13 => self.quantile(),
            14 => self.timed(),
            15 => self.relabelled(depth - 1),
            16 => self.mapped(depth - 1),
            17 => self.with_scalar(depth - 1),
            18 => self.joined(),
            _ => self.subquery(depth - 1),
        }
    }

    fn scalar(&mut self) -> String {
        match self.random.below(5) {
            0 => "time()".to_owned(),
            1 => format!("scalar(sum({}))", self.selector()),
            2 => "time() % 7 / 3".to_owned(),
            3 => format!("scalar({})", self.selector()),
            _ => self
                .pick(&["1", "-0.5", "1e21", "Inf", "NaN", "0x1f"])
                .to_owned(),
        }
    }

    fn selector(&mut self) -> String {
        let plain = self.plain();
        let moved = self.moved();
        format!("{plain}{moved}")
    }

    /// A metric and perhaps matchers.
    fn plain(&mut self) -> String {
        let metric = self.metric();
        if self.random.below(2) == 0 {
            return metric.name.to_owned();
        }
        let matchers = self.pick(metric.matchers);
        format!("{}{{{matchers}}}", metric.name)
    }

    /// Perhaps an offset or a fixed time.
    fn moved(&mut self) -> String {
        let live = self.family == Family::Live;
        let offsets: &[&str] = if live {
            &[" offset 1s", " offset 7s", " offset -2s", " offset 500ms"]
        } else {
            &[
                " offset 1m",
                " offset 7s",
                " offset 1h",
                " offset -5m",
                " offset -20s",
            ]
        };
        match self.random.below(24) {
            0..=2 => self.pick(offsets).to_owned(),
            3 => " @ start()".to_owned(),
            4 => " @ end()".to_owned(),
            5 => " @ end() offset 5s".to_owned(),
            _ => String::new(),
        }
    }

    fn ranged(&mut self) -> String {
        let (plain, window, moved) = (self.plain(), self.window(), self.moved());
        format!("{plain}[{window}]{moved}")
    }

    fn window(&mut self) -> &'static str {
        match self.family {
            Family::Past => self.pick(&["1m", "90s", "5m", "30s", "17m"]),
            Family::Live => self.pick(&["2s", "3s", "5s", "10s"]),
        }
    }

    fn risen(&mut self) -> String {
        let function = self.pick(&["rate", "irate", "increase", "delta", "idelta", "resets"]);
        let metric = loop {
            let metric = self.metric();
            if metric.rises {
                break metric.name;
            }
        };
        let (window, moved) = (self.window(), self.moved());
        format!("{function}({metric}[{window}]{moved})")
    }

    fn over_time(&mut self) -> String {
        let ranged = self.ranged();
        match self.random.below(12) {
            0 => format!("quantile_over_time(0.{}, {ranged})", self.random.below(99)),
            1 => format!("predict_linear({ranged}, 60)"),
            2 => format!("holt_winters({ranged}, 0.5, 0.25)"),
            _ => {
                let function = self.pick(&[
                    "sum_over_time",
                    "avg_over_time",
                    "min_over_time",
                    "max_over_time",
                    "count_over_time",
                    "stddev_over_time",
                    "last_over_time",
                    "present_over_time",
                    "changes",
                    "deriv",
                ]);
                format!("{function}({ranged})")
            }
        }
    }

    fn aggregated(&mut self, depth: u32) -> String {
        let grouping = self.grouping();
        if self.random.below(2) == 0 {
            let operator = self.pick(&["sum", "avg", "stddev", "stdvar"]);
            let vector = self.in_order();
            return format!("{operator}{grouping}({vector})");
        }
        let operator = self.pick(&["min", "max", "count", "group"]);
        let vector = self.vector(depth);
        format!("{operator}{grouping}({vector})")
    }

    /// A vector whose series always come in the same order.
    fn in_order(&mut self) -> String {
        match self.random.below(3) {
            0 => self.selector(),
            1 => self.risen(),
            _ => self.over_time(),
        }
    }

    fn grouping(&mut self) -> String {
        let metric = self.metric();
        let label = self.pick(metric.labels);
        match self.random.below(5) {
            0 => String::new(),
            1 => format!(" without ({label}) "),
            2 => " by (job, instance) ".to_owned(),
            _ => format!(" by ({label}) "),
        }
    }

    fn ranked(&mut self, depth: u32) -> String {
        let grouping = self.grouping();
        match self.random.below(4) {
            0 => format!("topk{grouping}(3, {})", self.in_order()),
            1 => format!("bottomk{grouping}(2, {})", self.in_order()),
            2 => {
                let (share, vector) = (self.random.below(99), self.vector(depth));
                format!("quantile{grouping}(0.{share}, {vector})")
            }
            _ => format!("count_values{grouping}(\"value\", {})", self.vector(depth)),
        }
    }

    fn quantile(&mut self) -> String {
        let (bucket, window) = match self.family {
            Family::Past => ("latency_bucket", self.window()),
            Family::Live => ("live_latency_bucket", self.window()),
        };
        let by = self.pick(&["le", "le, job", "le, instance, job"]);
        let share = self.pick(&["0", "0.5", "0.9", "0.99", "1", "-1", "2"]);
        format!("histogram_quantile({share}, sum by ({by}) (rate({bucket}[{window}])))")
    }

    /// What depends on the present, or on when samples were taken.
    fn timed(&mut self) -> String {
        let selector = self.selector();
        match self.random.below(6) {
            0 => format!("time() - timestamp({selector})"),
            1 => format!("timestamp({selector})"),
            2 => "vector(time())".to_owned(),
            3 => format!("minute(timestamp({selector}))"),
            4 => format!("{selector} * 0 + time()"),
            _ => "hour()".to_owned(),
        }
    }

    fn relabelled(&mut self, depth: u32) -> String {
        let vector = self.vector(depth);
        let metric = self.metric();
        let label = self.pick(metric.labels);
        if self.random.below(2) == 0 {
            format!("label_replace({vector}, \"copy\", \"<$1>\", \"{label}\", \"(.).*\")")
        } else {
            format!("label_join({vector}, \"both\", \"&\", \"{label}\", \"job\")")
        }
    }

    fn mapped(&mut self, depth: u32) -> String {
        let vector = self.vector(depth);
        match self.random.below(4) {
            0 => format!("clamp({vector}, -3, 7)"),
            1 => format!("round({vector}, 0.25)"),
            2 => format!("-({vector})"),
            _ => {
                let function = self.pick(&["abs", "ceil", "sqrt", "ln", "exp", "sgn"]);
                format!("{function}({vector})")
            }
        }
    }

    fn with_scalar(&mut self, depth: u32) -> String {
        let (vector, scalar) = (self.vector(depth), self.scalar());
        let operator = self.pick(&["+", "-", "*", "/", "%", "^", ">", "<=", "== bool", "> bool"]);
        format!("{vector} {operator} ({scalar})")
    }

    fn joined(&mut self) -> String {
        let (left, right) = (self.plain(), self.plain());
        let operator = self.pick(&["+", "/", "-", ">", "and", "or", "unless", "!= bool"]);
        if matches!(operator, "and" | "or" | "unless") {
            let on = self.pick(&["", " on (job)", " ignoring (n)", " on (instance)"]);
            return format!("{left} {operator}{on} {right}");
        }
        match self.random.below(3) {
            0 => format!("{left} {operator} {left}"),
            1 => format!("sum by (job) ({left}) {operator} sum by (job) ({right})"),
            _ => format!("{left} {operator} on (job) group_left () sum by (job) ({right})"),
        }
    }

    fn subquery(&mut self, depth: u32) -> String {
        let inner = self.vector(depth.min(1));
        let function = self.pick(&[
            "max_over_time",
            "avg_over_time",
            "count_over_time",
            "last_over_time",
        ]);
        let windows = match self.family {
            Family::Past => self.pick(&["[5m:30s]", "[3m:]", "[100s:7s]", "[2m:1m] offset 1m"]),
            Family::Live => self.pick(&["[5s:1s]", "[3s:500ms]", "[4s:3s] offset 2s"]),
        };
        format!("{function}(({inner}){windows})")
    }

    fn metric(&mut self) -> &'static Metric {
        match self.family {
            Family::Past => self.pick_of(&PAST),
            Family::Live => self.pick_of(&LIVE),
        }
    }

    fn pick(&mut self, among: &[&'static str]) -> &'static str {
        among[self.random.below(among.len() as u64) as usize]
    }

    fn pick_of(&mut self, among: &'static [Metric]) -> &'static Metric {
        &among[self.random.below(among.len() as u64) as usize]
    }
}
