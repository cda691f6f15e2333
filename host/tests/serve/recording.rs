//! What goes into the collector is on file, and has its outputs come again.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use tidegate_client::recording::{End, ReplayError, Timeline, replay};
use tidegate_host::prepare;

use crate::host::{Host, configured, counting, upstream, vector};

fn replayed(file: &Path) -> Result<Timeline, ReplayError> {
    replay(BufReader::new(File::open(file).unwrap()))
}

#[tokio::test]
async fn a_recorded_host_is_had_again_in_process_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.rec");
    let source = upstream(vector).await;
    let pods = upstream(|_| "up 1\n".into()).await;
    let config = |port| {
        format!(
            "{}[[source]]\nname = \"pods\"\nkind = \"scrape\"\n\
             targets = [{{ name = \"a\", url = \"http://{pods}/metrics\" }}]\n\
             [[source]]\nname = \"gone\"\nurl = \"http://u:secret@127.0.0.1:{port}\"\n\
             retry = {{ retries_max = 1, backoff = \"10ms\" }}\n\
             [node]\ninterval = \"100ms\"\n",
            counting("prom", source)
        )
    };
    let mut host = Host::start_recording(&config(9), Some(&file)).await;
    let query = "/api/v1/query?query=up";
    for (target, wanted) in [
        (query, 200),
        (query, 200),
        ("/source/pods/api/v1/query?query=up", 200),
        ("/source/local/api/v1/query?query=node_load1", 200),
        ("/source/gone/api/v1/query?query=up", 502),
        ("/api/v1/query?query=up&time=abc", 400),
        ("/metrics", 200),
        ("/health", 200),
    ] {
        let (status, response) = host.get(target).await;
        assert_eq!(status, wanted, "{target}: {response}");
    }
    host.post("/v1/invalidate?all=1", "origin: http://x").await;
    let reloaded = configured(&config(19));
    host.reloader.apply(reloaded).await.unwrap();
    assert_eq!(host.get(query).await.0, 200);
    host.end().await;

    let timeline = replayed(&file).unwrap();
    assert_eq!(timeline.end, End::Complete);
    assert_eq!(timeline.version, env!("CARGO_PKG_VERSION"));
    let entries = timeline.select(Duration::ZERO, None, false);
    let told = |text: &str| entries.iter().any(|entry| entry.text.contains(text));
    assert!(told("query=up") && told("pods[a]"));
    let written = fs::read(&file).unwrap();
    let secret = written.windows(6).any(|bytes| bytes == b"secret");
    assert!(!secret, "credentials stay with the host");

    // Whoever wrote it was killed over its last line.
    let torn = folder.path().join("torn.rec");
    fs::write(&torn, &written[..written.len() - 7]).unwrap();
    assert_eq!(replayed(&torn).unwrap().end, End::Torn);
}

#[tokio::test]
async fn a_file_that_is_there_or_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    fs::write(&there, "precious").unwrap();
    let nowhere = folder.path().join("no/such/folder");
    let cache = Path::new(crate::host::CACHE);
    for (file, why) in [
        (&there, "is there already"),
        (&nowhere, "its folder is not"),
    ] {
        let config = configured("");
        let error = prepare(&config, Some(cache), Some(file)).await.unwrap_err();
        let error = error.to_string();
        let name = file.display().to_string();
        assert!(error.contains(why) && error.contains(&name), "{error}");
    }
    assert_eq!(fs::read(&there).unwrap(), b"precious");
}
