//! Bodies as Prometheus writes them: compact, in the order of its storage.

use std::fmt::Write as _;

/// A matrix of 10 series and 241 points each, one of 100 and 1,000, and a vector of 10,000 series.
pub(crate) fn bodies() -> [String; 3] {
    [matrix(10, 241), matrix(100, 1_000), vector()]
}

/// A range of CPU shares, memory and request rates: a third whole numbers, a third with few decimals,
/// a third with all the digits that a division leaves.
fn matrix(series: u64, points: u64) -> String {
    let mut body = open("matrix");
    let mut random = Random(1);
    for nth in 0..series {
        let comma = if nth == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"metric":{{"__name__":"job:requests:rate5m","instance":"10.0.{nth}.1:9100","job":"node","namespace":"default"}},"values":["#
        );
        let mut level = 1_000 + random.below(100_000);
        for point in 0..points {
            level = (level + random.below(2_001)).saturating_sub(1_000);
            let comma = if point == 0 { "" } else { "," };
            let at = 1_700_000_000 + 15 * point;
            let _ = match nth % 3 {
                0 => write!(body, r#"{comma}[{at},"{}"]"#, level * 4_096),
                1 => write!(body, r#"{comma}[{at},"{}"]"#, level as f64 / 1_000.0),
                _ => write!(body, r#"{comma}[{at},"{}"]"#, level as f64 / 299.997),
            };
        }
        body.push_str("]}");
    }
    body.push_str("]}}");
    body
}

/// A counter of 100 pods, each with 100 combinations of handler, method and code, as scraped.
fn vector() -> String {
    const HANDLERS: [&str; 10] = [
        "/",
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/label/:name/values",
        "/-/healthy",
        "/-/ready",
        "/metrics",
        "/static/*filepath",
    ];
    const METHODS: [&str; 2] = ["get", "post"];
    const CODES: [&str; 5] = ["200", "302", "400", "404", "503"];
    let mut body = open("vector");
    let mut random = Random(2);
    for nth in 0..10_000_u64 {
        let comma = if nth == 0 { "" } else { "," };
        let (pod, rest) = (nth / 100, nth % 100);
        let handler = HANDLERS[rest as usize / 10];
        let (method, code) = (METHODS[rest as usize / 5 % 2], CODES[rest as usize % 5]);
        let _ = write!(
            body,
            r#"{comma}{{"metric":{{"__name__":"http_requests_total","code":"{code}","handler":"{handler}","instance":"10.12.{pod}.7:9090","job":"kubernetes-pods","method":"{method}","namespace":"monitoring","pod":"prometheus-{:08x}-{pod}"}},"value":[1700000000.{:03},"{}"]}}"#,
            pod * 2_654_435_761_u64 % 0xffff_ffff,
            123,
            random.below(1_000_000),
        );
    }
    body.push_str("]}}");
    body
}

fn open(kind: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#)
}

/// A seeded generator: the same bodies in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
