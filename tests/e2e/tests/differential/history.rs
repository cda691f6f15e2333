//! What Prometheus holds before anybody asks: a past with everything odd in it, and a target that
//! goes on being odd.

use std::fmt::Write;

use tidegate_core::Random;

/// How far the past reaches back, in seconds.
pub(crate) const PAST_S: i64 = 3 * 3600;
/// How often the past was scraped, in seconds.
const EVERY_S: i64 = 15;
/// For how long a live target shows all it has, in seconds: longer than Prometheus takes to start.
const FIRST_S: f64 = 5.0;
/// Upper bounds of the histogram's buckets.
const BUCKETS: [&str; 7] = ["0.005", "0.05", "0.1", "0.5", "1", "5", "+Inf"];
/// Label values that an encoder may get wrong, as exposition text writes them.
const ODD_LABELS: [&str; 7] = [
    "a<b>&c",
    "quote \\\" backslash \\\\ line\\nend",
    "ünïcödé 🌊",
    "line\u{2028}separator",
    "tab\tand\u{1}control",
    "",
    "plain",
];

/// OpenMetrics text with a time at each sample, ending at `end_s`: more than 200 series.
pub(crate) fn past(end_s: i64, random: &mut Random) -> String {
    let mut text = String::new();
    let times: Vec<i64> = (0..=PAST_S / EVERY_S)
        .map(|nth| end_s - PAST_S + nth * EVERY_S)
        .collect();
    requests(&mut text, &times, random);
    temperatures(&mut text, &times, random);
    latencies(&mut text, &times, random);
    comers_and_goers(&mut text, &times, random);
    sparse(&mut text, &times);
    text.push_str("# EOF\n");
    text
}

/// 96 counters, each with resets of its own, and a gap all over.
fn requests(text: &mut String, times: &[i64], random: &mut Random) {
    text.push_str("# TYPE requests counter\n");
    let gap = 300..308;
    for nth in 0..96 {
        let (job, instance) = (nth % 4, nth / 4 % 4);
        let (method, code) = (
            ["GET", "POST"][nth / 16 % 2],
            ["200", "404", "500"][nth / 32],
        );
        let mut value = random.below(1_000);
        for (at, time) in times.iter().enumerate() {
            value += random.below(40);
            if random.below(250) == 0 {
                value = random.below(5);
            }
            if !gap.contains(&at) {
                let _ = writeln!(
                    text,
                    "requests_total{{job=\"j{job}\",instance=\"i{instance}\",method=\"{method}\",code=\"{code}\"}} {value} {time}"
                );
            }
        }
    }
}

/// 42 gauges under odd names, some with values that are no numbers.
fn temperatures(text: &mut String, times: &[i64], random: &mut Random) {
    text.push_str("# TYPE temp gauge\n");
    for nth in 0..42 {
        let (odd, room) = (ODD_LABELS[nth % 7], nth / 7);
        for time in times {
            let value = match random.below(60) {
                0 => "NaN".to_owned(),
                1 => "+Inf".to_owned(),
                2 => "-Inf".to_owned(),
                3 => "-0".to_owned(),
                4 => "4.9e-324".to_owned(),
                5 => "1.7976931348623157e308".to_owned(),
                6 => "1e21".to_owned(),
                7 => "0.000000123".to_owned(),
                8 => continue,
                _ => format!("{}", random.fraction() * 60.0 - 20.0),
            };
            let _ = writeln!(
                text,
                "temp{{room=\"r{room}\",odd=\"{odd}\"}} {value} {time}"
            );
        }
    }
}

/// 6 histograms of 7 buckets, with their sums and counts.
fn latencies(text: &mut String, times: &[i64], random: &mut Random) {
    text.push_str("# TYPE latency histogram\n");
    for nth in 0..6 {
        let labels = format!("job=\"j{}\",instance=\"i{}\"", nth % 3, nth / 3);
        let mut counts = [0; BUCKETS.len()];
        for time in times {
            let mut more = 0;
            for (count, bound) in counts.iter_mut().zip(BUCKETS) {
                more += random.below(6);
                *count += more;
                let _ = writeln!(
                    text,
                    "latency_bucket{{{labels},le=\"{bound}\"}} {count} {time}"
                );
            }
            let count = counts[BUCKETS.len() - 1];
            let _ = writeln!(text, "latency_count{{{labels}}} {count} {time}");
            let _ = writeln!(text, "latency_sum{{{labels}}} {}.25 {time}", count / 3);
        }
    }
}

/// 30 series that come, go and return.
fn comers_and_goers(text: &mut String, times: &[i64], random: &mut Random) {
    text.push_str("# TYPE flap gauge\n");
    for nth in 0..30 {
        let mut there = nth % 2 == 0;
        for time in times {
            if random.below(60) == 0 {
                there = !there;
            }
            if there {
                let value = random.below(8);
                let _ = writeln!(
                    text,
                    "flap{{n=\"{nth}\",half=\"{}\"}} {value} {time}",
                    nth / 15
                );
            }
        }
    }
}

/// Series with minutes between their samples, and with but one.
fn sparse(text: &mut String, times: &[i64]) {
    text.push_str("# TYPE sparse gauge\n");
    for (nth, every) in [16, 21, 29, 97].into_iter().enumerate() {
        for time in times.iter().skip(nth * 3).step_by(every) {
            let _ = writeln!(text, "sparse{{every=\"{every}\"}} {}.5 {time}", time % 97);
        }
    }
    text.push_str("# TYPE once gauge\n");
    for nth in 0..12 {
        let time = times[nth * times.len() / 12];
        let _ = writeln!(text, "once{{n=\"{nth}\"}} {nth} {time}");
    }
}

/// What a live target that was started at `first_s` shows at `now_s`: counters that reset, gauges,
/// a histogram, and series that come and go by the second. At first it shows them all, so that
/// Prometheus has them in order.
pub(crate) fn present(first_s: f64, now_s: f64) -> String {
    let now = now_s as u64;
    let mut text = "# TYPE live_total counter\n".to_owned();
    for nth in 0..8 {
        let value = (now_s * 4.0) as u64 % (97 + 50 * nth);
        let _ = writeln!(
            text,
            "live_total{{n=\"{nth}\",half=\"{}\"}} {value}",
            nth / 4
        );
    }
    text.push_str("# TYPE live_flap gauge\n");
    for nth in 0..10 {
        if (now / (3 + nth)).is_multiple_of(2) || now_s < first_s + FIRST_S {
            let _ = writeln!(text, "live_flap{{n=\"{nth}\"}} {}", (now * (nth + 1)) % 13);
        }
    }
    text.push_str("# TYPE live_odd gauge\n");
    let odd = ["NaN", "+Inf", "-Inf", "-0", "1e21", "0.25"];
    let _ = writeln!(text, "live_odd {}", odd[(now / 2) as usize % odd.len()]);
    text.push_str("# TYPE live_latency histogram\n");
    for (nth, bound) in BUCKETS.iter().enumerate() {
        let value = now % 1_000 * (nth as u64 + 1);
        let _ = writeln!(text, "live_latency_bucket{{le=\"{bound}\"}} {value}");
    }
    let count = now % 1_000 * BUCKETS.len() as u64;
    let _ = writeln!(text, "live_latency_sum {count}\nlive_latency_count {count}");
    text
}
