//! Loads a server with `wrk`, and reads what it found.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tidegate_e2e::{Finished, on_path};

/// How fast a server answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Speed {
    pub(super) requests_per_s: f64,
    /// 99 of 100 answers took no longer, in microseconds.
    pub(super) p99_us: f64,
    pub(super) requests: u64,
}

/// A window that moves on by a step with each request, from some step of the past to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slide {
    /// Where the window begins at first, in seconds since 1970.
    pub(super) start_s: u64,
    /// How wide it is, in seconds.
    pub(super) width_s: u64,
    /// How far each request moves it, in seconds.
    pub(super) step_s: u64,
    /// After so many requests it begins anew, a step wider.
    pub(super) steps: u64,
    /// How often it has begun anew already.
    pub(super) laps: u64,
}

impl Slide {
    /// How many laps so many requests begin, and one that nobody else will.
    pub(super) fn laps_of(self, requests: u64) -> u64 {
        requests / self.steps + 2
    }
}

/// Asks the same again and again.
pub(super) fn same(base: &str, path: &str, connections: u32, seconds: u32) -> Result<Speed> {
    wrk(&format!("{base}{path}"), connections, seconds, &[])
}

/// Asks for `query` over a window that slides.
pub(super) fn sliding(
    base: &str,
    query: &str,
    slide: Slide,
    connections: u32,
    seconds: u32,
) -> Result<Speed> {
    let folder = TempDir::new()?;
    let path = folder.path().join("slide.lua");
    let Slide {
        start_s,
        width_s,
        step_s,
        steps,
        laps,
    } = slide;
    let script = format!(
        "local nth = -1
request = function()
  nth = nth + 1
  local lap = {laps} + math.floor(nth / {steps})
  local start = {start_s} + nth % {steps} * {step_s}
  return wrk.format(\"GET\", string.format(
    \"/api/v1/query_range?query={query}&step={step_s}&start=%d&end=%d\",
    start - lap * {step_s}, start + {width_s}))
end
"
    );
    std::fs::write(&path, script)?;
    let script = path.display().to_string();
    wrk(base, connections, seconds, &["-s", &script])
}

/// One thread: the processors are for the servers.
fn wrk(url: &str, connections: u32, seconds: u32, more: &[&str]) -> Result<Speed> {
    let mut command = Command::new(on_path("wrk"));
    command
        .args(["-t1", "--latency", "--timeout", "10s"])
        .args([format!("-c{connections}"), format!("-d{seconds}s")])
        .args(more)
        .arg(url);
    let finished = Finished::run("wrk", &mut command);
    ensure!(
        finished.status.success(),
        "wrk failed: {}{}",
        finished.stdout,
        finished.stderr
    );
    parse(&finished.stdout).with_context(|| format!("wrk at {url} says:\n{}", finished.stdout))
}

fn parse(output: &str) -> Result<Speed> {
    for complaint in ["Non-2xx", "Socket errors"] {
        if output.contains(complaint) {
            bail!("not every request was answered well");
        }
    }
    let after = |name: &str| {
        output
            .lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .map(str::trim)
            .with_context(|| format!("there is no {name}"))
    };
    let requests = output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .context("there is no count of requests")?
        .0;
    Ok(Speed {
        requests_per_s: after("Requests/sec:")?.parse()?,
        p99_us: microseconds(after("99%")?)?,
        requests: requests.parse()?,
    })
}

/// `812.00us`, `1.25ms`, `2.01s`.
fn microseconds(text: &str) -> Result<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 6e7)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .with_context(|| format!("{text} is no time"))?;
    Ok(number.parse::<f64>()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_wrk_is_read() {
        let report = "Running 2s test @ http://127.0.0.1:1/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   100.00us   10.00us   1.00ms   90.00%
    Req/Sec    10.00k     1.00k   11.00k    70.00%
  Latency Distribution
     50%   95.00us
     99%    1.25ms
  20000 requests in 2.00s, 5.00MB read
Requests/sec:  10000.50
Transfer/sec:      2.50MB
";
        let speed = parse(report).expect("a whole report");
        assert_eq!(
            speed,
            Speed {
                requests_per_s: 10_000.5,
                p99_us: 1_250.0,
                requests: 20_000
            }
        );
        assert!(parse(&format!("{report}  Non-2xx or 3xx responses: 3\n")).is_err());
        assert!(parse("").is_err());
    }
}
