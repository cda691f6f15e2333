//! A reconcile loop: scales on fresh data, holds on stale data, refuses where there is none.
//!
//! `cargo run -p tidegate-client --features native --example reconcile -- http://127.0.0.1:9090`
//! watches the model servers that a Prometheus knows. Without a URL it plays twelve seconds against a
//! small server of its own, whose data rises, falls, stands still and comes back.

use std::error::Error;
use std::time::{Duration, Instant};

use tidegate_client::native::{
    Field, Freshness, Records, ReplicaMetrics, SourceConfig, Thresholds, Tidegate, packs,
};

const OWNER: &str = "llama-8b-autoscaler";
const MODEL: [(&str, &str); 2] = [("modelID", "llama-8b"), ("namespace", "default")];

/// How full the caches should be, and how many pods there may be.
struct Policy {
    kv_cache_target: f64,
    replicas_min: u32,
    replicas_max: u32,
}

const POLICY: Policy = Policy {
    kv_cache_target: 0.6,
    replicas_min: 1,
    replicas_max: 8,
};

/// What a round comes to.
#[derive(Clone, Debug, PartialEq)]
enum Decision {
    /// The data is fresh: there should be so many replicas.
    Scale { replicas: u32 },
    /// The data was right a while ago: better leave everything as it is.
    Hold { why: String },
    /// Nobody knows: do nothing, and have somebody look.
    Refuse { why: String },
}

/// Decides by the caches of the pods that are ours. One pod that nobody knows about is enough to
/// refuse, one whose data is stale to hold: to count it as empty, or leave it out, would scale
/// down just when something is wrong.
fn decide<'a>(pods: impl IntoIterator<Item = &'a ReplicaMetrics>, policy: &Policy) -> Decision {
    let (mut known, mut load, mut stale) = (0, 0.0, None);
    for pod in pods {
        match kv_cache(pod) {
            Ok((value, freshness)) => {
                known += 1;
                load += value;
                if freshness != Freshness::Fresh {
                    stale = Some(&pod.pod);
                }
            }
            Err(why) => {
                return Decision::Refuse {
                    why: format!("{}: {why}", pod.pod),
                };
            }
        }
    }
    if known == 0 {
        return Decision::Refuse {
            why: "no pod of ours is known".into(),
        };
    }
    if let Some(pod) = stale {
        return Decision::Hold {
            why: format!("{pod}: its data is stale"),
        };
    }
    // So many pods would carry the load at the target; the cast saturates, the bounds are sane.
    let replicas = (load / policy.kv_cache_target).ceil() as u32;
    Decision::Scale {
        replicas: replicas.clamp(policy.replicas_min, policy.replicas_max),
    }
}

/// How full a pod's cache is, fresh or stale, or why nobody can tell.
fn kv_cache(pod: &ReplicaMetrics) -> Result<(f64, Freshness), String> {
    match &pod.kv_cache {
        // What is missing has its reason, and is not 0.
        Field::Missing { reason } => Err(reason.to_string()),
        Field::Present { value, .. } if !(0.0..=1.0).contains(value) => {
            Err(format!("a cache that is {value} full"))
        }
        // From best to worst: what is worse than stale is not to be acted on.
        Field::Present { freshness, .. } if *freshness > Freshness::Stale => {
            Err("its data is too old".into())
        }
        Field::Present {
            value, freshness, ..
        } => Ok((*value, *freshness)),
    }
}

/// One round, from what was read.
fn reconcile(records: &Records<ReplicaMetrics>) -> Decision {
    for problem in &records.problems {
        eprintln!("{}: {}", problem.query, problem.reason);
    }
    decide(records.owned_by(OWNER), &POLICY)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (source, url, every, rounds) = match std::env::args().nth(1) {
        Some(url) => {
            let source = SourceConfig::prometheus("prom");
            (source, url, Duration::from_secs(15), usize::MAX)
        }
        None => {
            let url = scripted::serve()?;
            (hasty(), url, Duration::from_millis(500), 24)
        }
    };
    let client = Tidegate::builder()
        .source_with(source, url)
        .pack(packs::inference())
        .owner("llama-deployment", OWNER)
        .observer(|event| eprintln!("{} {}: {}", event.source, event.name, event.detail))
        .build()?;
    let began = Instant::now();
    let mut watch = client.watch_records::<ReplicaMetrics>(MODEL, every);
    for _ in 0..rounds {
        let Some(records) = watch.next().await else {
            break;
        };
        // Here a controller would patch its deployment; the watch asks again when it is back.
        println!(
            "{:>5.1} s  {:?}",
            began.elapsed().as_secs_f64(),
            reconcile(&records?)
        );
    }
    Ok(())
}

/// A source that is in a hurry, so that the play is short: real ones keep the defaults.
fn hasty() -> SourceConfig {
    SourceConfig {
        ttl: Duration::from_millis(200),
        fetch_interval: Duration::from_millis(400),
        thresholds: Thresholds {
            fresh_below: Duration::from_secs(1),
            warn_past: Duration::from_secs(2),
            unavailable_past: Duration::from_secs(3),
        },
        ..SourceConfig::prometheus("prom")
    }
}

/// A server that plays a Prometheus with two pods.
mod scripted {
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant, SystemTime};

    /// Serves from now on, and says where.
    pub(super) fn serve() -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let began = (Instant::now(), SystemTime::now());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever hangs up early misses the rest.
                let _ = answer(stream, began);
            }
        });
        Ok(url)
    }

    fn answer(mut stream: TcpStream, began: (Instant, SystemTime)) -> io::Result<()> {
        let mut head = [0; 8192];
        let bytes = stream.read(&mut head)?;
        let head = String::from_utf8_lossy(&head[..bytes]);
        let (kv_cache, at) = script(began.0.elapsed());
        let value = if head.contains("cache_usage_perc") {
            kv_cache
        } else {
            2.0
        };
        let at = (began.1 + at)
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let pod = |name: &str| {
            format!(
                r#"{{"metric":{{"model_name":"llama-8b","namespace":"default","pod":"llama-deployment-{name}"}},"value":[{at:.3},"{value}"]}}"#
            )
        };
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{},{}]}}}}"#,
            pod("5d4f-a"),
            pod("5d4f-b")
        );
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// How full the caches are, and of when the data is.
    fn script(now: Duration) -> (f64, Duration) {
        match now.as_secs() {
            0..2 => (0.9, now),
            2..4 => (0.2, now),
            4..9 => (0.2, Duration::from_secs(4)),
            _ => (0.5, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_client::native::{MissingReason, UnixMillis};

    use super::*;

    fn pod(name: &str, kv_cache: Field) -> ReplicaMetrics {
        let unasked = || Field::missing(MissingReason::NotAsked);
        ReplicaMetrics {
            pod: format!("llama-deployment-{name}"),
            model: "llama-8b".into(),
            namespace: "default".into(),
            cluster: None,
            freshness: kv_cache.freshness(),
            kv_cache,
            queue_length: unasked(),
            running_requests: unasked(),
            replicas: unasked(),
        }
    }

    fn field(value: f64, freshness: Freshness) -> Field {
        Field::Present {
            value,
            as_of: UnixMillis(1_700_000_000_000),
            freshness,
            source: "prom".into(),
        }
    }

    fn fresh(value: f64) -> Field {
        field(value, Freshness::Fresh)
    }

    fn decision(fields: impl IntoIterator<Item = Field>) -> Decision {
        let names = ["a", "b", "c"].into_iter();
        let pods: Vec<_> = names
            .zip(fields)
            .map(|(name, field)| pod(name, field))
            .collect();
        decide(&pods, &POLICY)
    }

    #[test]
    fn fresh_data_scales_up_and_down_within_the_bounds() {
        let scale = |replicas| Decision::Scale { replicas };
        assert_eq!(decision([fresh(0.9), fresh(0.9)]), scale(3));
        assert_eq!(decision([fresh(0.6), fresh(0.6)]), scale(2));
        assert_eq!(decision([fresh(0.2), fresh(0.2)]), scale(1));
        assert_eq!(decision([fresh(0.0)]), scale(POLICY.replicas_min));
        let few = Policy {
            replicas_max: 2,
            ..POLICY
        };
        let pods = [pod("a", fresh(1.0)), pod("b", fresh(1.0))];
        assert_eq!(decide(&pods, &few), scale(2));
    }

    #[test]
    fn one_stale_pod_is_enough_to_hold() {
        let held = decision([fresh(0.9), field(0.9, Freshness::Stale)]);
        assert!(matches!(held, Decision::Hold { why } if why.contains("deployment-b")));
    }

    #[test]
    fn one_pod_without_data_is_enough_to_refuse_even_beside_a_stale_one() {
        let stale = || field(0.1, Freshness::Stale);
        for unknown in [
            field(0.1, Freshness::Unavailable),
            Field::missing(MissingReason::NoData),
            fresh(7.0),
            fresh(f64::INFINITY),
        ] {
            let refused = decision([stale(), unknown]);
            assert!(
                matches!(&refused, Decision::Refuse { why } if why.contains("deployment-b")),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn no_pods_are_not_no_load() {
        assert!(matches!(decision([]), Decision::Refuse { .. }));
    }

    #[tokio::test]
    async fn against_the_play_it_scales_at_first() {
        let client = Tidegate::builder()
            .source_with(hasty(), scripted::serve().unwrap())
            .pack(packs::inference())
            .owner("llama-deployment", OWNER)
            .build()
            .unwrap();
        let records = client.records(MODEL).await.unwrap();
        assert_eq!(reconcile(&records), Decision::Scale { replicas: 3 });
        client.unregister_owner("llama-deployment");
        let records = client.records(MODEL).await.unwrap();
        assert!(matches!(reconcile(&records), Decision::Refuse { .. }));
    }
}
