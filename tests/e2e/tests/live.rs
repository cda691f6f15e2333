//! `tidegate serve` as a newcomer starts it: nothing configured, this machine's own numbers.

use tidegate_e2e::{Tidegate, eventually, get, instant_query, run_cli, unix_now};

#[tokio::test]
async fn this_machine_speaks_without_any_configuration() {
    let mut tidegate = Tidegate::start("", &[]).await;
    let load = eventually("a load average", async || {
        let answer = instant_query(&tidegate.url(), &[("query", "node_load1")]).await?;
        answer.first_value().ok_or_else(|| answer.text())
    })
    .await;
    assert!(load >= 0.0);
    for name in [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_network_receive_bytes_total",
        "node_boot_time_seconds",
    ] {
        eventually("every group of metrics", async || {
            let answer = instant_query(&tidegate.url(), &[("query", name)]).await?;
            answer
                .first_value()
                .map(|_| ())
                .ok_or_else(|| format!("{name}: {}", answer.text()))
        })
        .await;
    }
    numbers_move(&tidegate).await;
    the_pages_answer(&tidegate).await;
    the_command_line_asks(&tidegate);
    assert!(tidegate.terminate().success(), "asked to end, it ends well");
}

/// CPU time passes, whatever this machine does.
async fn numbers_move(tidegate: &Tidegate) {
    let total = async || {
        let answer = instant_query(
            &tidegate.url(),
            &[("query", "node_cpu_seconds_total{mode=\"idle\"}[1m]")],
        )
        .await?;
        let json = answer.json();
        assert_eq!(json["data"]["resultType"], "matrix", "{}", answer.text());
        let points = json["data"]["result"][0]["values"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok::<_, String>(points)
    };
    let points = eventually("a few seconds of history", async || match total().await? {
        points if points.len() >= 4 => Ok(points),
        points => Err(format!("{points:?}")),
    })
    .await;
    let newest = points
        .last()
        .and_then(|point| point[0].as_f64())
        .unwrap_or_default();
    assert!(
        (unix_now() - newest).abs() < 60.0,
        "the newest point is of now: {newest}"
    );
}

async fn the_pages_answer(tidegate: &Tidegate) {
    let health = get(&tidegate.at("/health"))
        .await
        .expect("tidegate answers");
    assert_eq!(health.status, 200, "{}", health.text());
    assert!(health.json()["sources"].is_array(), "{}", health.text());
    assert!(
        get(&tidegate.at("/stats"))
            .await
            .expect("tidegate answers")
            .json()
            .is_object()
    );
    let metrics = get(&tidegate.at("/metrics"))
        .await
        .expect("tidegate answers")
        .text();
    assert!(
        metrics.contains("# TYPE ") && metrics.contains("tidegate_"),
        "{metrics}"
    );
    let build = get(&tidegate.at("/api/v1/status/buildinfo"))
        .await
        .expect("tidegate answers");
    assert!(
        build.json()["data"]["version"].is_string(),
        "{}",
        build.text()
    );
    let beyond = instant_query(&tidegate.url(), &[("query", "sum(node_load1)")])
        .await
        .expect("tidegate answers");
    assert_eq!(beyond.status, 422, "{}", beyond.text());
    let page = get(&tidegate.at("/")).await.expect("tidegate answers");
    assert_eq!(
        (page.status, page.header("content-type").split(';').next()),
        (200, Some("text/html"))
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src") && !policy.contains("unsafe-inline"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let missing = get(&tidegate.at("/nothing/here"))
        .await
        .expect("tidegate answers");
    assert_eq!(missing.status, 404, "{}", missing.text());
}

fn the_command_line_asks(tidegate: &Tidegate) {
    let server = tidegate.url();
    let json = run_cli(&["query", "node_load1", "--server", &server, "--json"]);
    assert!(json.status.success(), "{}", json.stderr);
    assert!(json.stdout.contains("node_load1"), "{}", json.stdout);
    let refused = run_cli(&["query", "sum(node_load1)", "--server", &server]);
    assert!(
        !refused.status.success() && !refused.stderr.is_empty(),
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    let help = run_cli(&["--help"]);
    assert!(
        help.status.success() && help.stdout.contains("serve") && help.stdout.contains("query"),
        "{}",
        help.stdout
    );
}
