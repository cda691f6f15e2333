//! A hit through the HTTP API: from the request's text to the response's.

use std::hint::black_box;

use tidegate_api::{Command, CommandId, Front, HttpRequest, Input, Output, Reply};
use tidegate_core::{Now, Response};

use crate::allocations;
use crate::clock::contest;
use crate::machine::{at_ms, body, config};
use crate::table::{Table, Target};

const STEPS: u32 = 20_000;

const COLLECT: &str = "/v1/collect/kv_cache?modelID=llama-8b&namespace=default";
const QUERY: &str = "/api/v1/query?query=sum(rate(http_requests_total%5B5m%5D))%20by%20(code)";

pub(crate) fn measure(table: &mut Table) {
    let now = at_ms(1_000);
    let mut front = Front::new(config(), "bench", now).expect("a valid configuration");
    for target in [COLLECT, QUERY] {
        fill(&mut front, target, now);
        assert_eq!(get(&mut front, target, now), Some(200), "{target}");
    }
    let front = std::cell::RefCell::new(front);
    let run = |target: &str| {
        for _ in 0..STEPS {
            black_box(get(&mut front.borrow_mut(), black_box(target), now));
        }
    };
    let [collect, query] = contest(STEPS, [&mut || run(COLLECT), &mut || run(QUERY)]);
    table.heading("a hit through Front::step, from HTTP request to HTTP response");
    for (what, target, ns) in [
        ("GET /v1/collect/<template>", COLLECT, collect),
        ("GET /api/v1/query", QUERY, query),
    ] {
        let before = allocations::so_far();
        run(target);
        let each = (allocations::so_far() - before) as f64 / f64::from(STEPS);
        let value = format!("{ns:.0} ns");
        table.row(what, &value, Some((each, "allocations each")), Target::None);
    }
}

/// One request; its status, if the response is at hand.
fn get(front: &mut Front, target: &str, now: Now) -> Option<u16> {
    let request = Command::Http(HttpRequest::get(target));
    let outputs = front.step(vec![Input::Command(CommandId(1), request)], now);
    outputs.into_iter().find_map(|output| {
        let Output::Reply(_, Reply::Http(response)) = output else {
            return None;
        };
        Some(response.status)
    })
}

/// Asks, and answers what is fetched for it.
fn fill(front: &mut Front, target: &str, now: Now) {
    let request = Command::Http(HttpRequest::get(target));
    let mut inputs = vec![Input::Command(CommandId(0), request)];
    while !inputs.is_empty() {
        let outputs = front.step(std::mem::take(&mut inputs), now);
        for output in outputs {
            if let Output::Fetch(fetch) = output {
                let response = Ok(Response::new(200, body(now)));
                inputs.push(Input::Response(fetch.id, response));
            }
        }
    }
}
