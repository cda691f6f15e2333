//! `tidegate query`: one question, through the same collector that others run in a host.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_client::ClientError;
use tidegate_client::native::Tidegate;
use tidegate_core::{Answer, Ask, QueryError, SourceConfig, UnixMillis};
use tidegate_wire::number::{parse_duration_ms, parse_timestamp_ms};
use tidegate_wire::{Data, encode_query_response};

use crate::cli::Query;
use crate::{FAILED, WRONG, refuse, table};

/// What a Tidegate that is asked is called here.
const SERVER: &str = "tidegate";

pub(crate) fn run(arguments: &Query) -> ExitCode {
    let (ask, client_parts) = match prepared(arguments) {
        Ok(prepared) => prepared,
        Err(message) => return refuse(WRONG, message),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(FAILED, format_args!("cannot wait for an answer: {error}")),
    };
    runtime.block_on(async {
        let (source, url) = client_parts;
        // Built from what was checked, apart from the address.
        let client = match Tidegate::builder().source_with(source, url).build() {
            Ok(client) => client,
            Err(error) => return refuse(WRONG, error),
        };
        match client.query(ask).await {
            Ok(answer) => print(&answer, arguments.json),
            Err(error) => explain(&error, arguments),
        }
    })
}

type Prepared = (Ask, (SourceConfig, String));

fn prepared(arguments: &Query) -> Result<Prepared, String> {
    let (name, url) = match &arguments.source {
        Some(source) => source
            .split_once('=')
            .ok_or("bad --source: write NAME=URL, such as prom=http://127.0.0.1:9090")?,
        None => (SERVER, arguments.server.as_str()),
    };
    let timeout_ms = parse_duration_ms(&arguments.timeout)
        .ok()
        .and_then(|ms| u64::try_from(ms).ok())
        .filter(|ms| *ms > 0);
    let timeout_ms = timeout_ms.ok_or_else(|| {
        format!(
            "bad --timeout {:?}: write a number and a unit, such as 10s or 500ms",
            arguments.timeout
        )
    })?;
    let timeout = Duration::from_millis(timeout_ms);
    let time = arguments
        .time
        .as_deref()
        .map(parse_timestamp_ms)
        .transpose()
        .map_err(|error| {
            format!("bad --time: {error}; write 2026-11-21T08:00:00Z, or seconds since 1970")
        })?;
    let mut ask = Ask::promql(arguments.expr.as_str());
    ask.time = time.map(UnixMillis);
    ask.timeout = Some(timeout);
    // A single question needs no probes.
    let source = SourceConfig {
        timeout,
        probe_interval: Duration::ZERO,
        ..SourceConfig::prometheus(name)
    };
    Ok((ask, (source, url.to_owned())))
}

fn print(answer: &Answer, as_json: bool) -> ExitCode {
    let response = &answer.payload.response;
    let mut out = Vec::new();
    if as_json {
        match &answer.payload.body {
            Some(body) => out.extend_from_slice(body),
            None => encode_query_response(response, &mut out),
        }
    } else if io::stdout().is_terminal() {
        out.extend_from_slice(table::table(&response.data, now_ms()).as_bytes());
    } else {
        out.extend_from_slice(table::lines(&response.data, now_ms()).as_bytes());
    }
    // Whoever closed the pipe has read enough.
    if let Err(error) = io::stdout()
        .write_all(&out)
        .and_then(|()| io::stdout().flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return refuse(FAILED, format_args!("cannot write the answer: {error}"));
    }
    if !as_json {
        foot(answer);
    }
    ExitCode::SUCCESS
}

/// What stands below a table, on standard error so that no program takes it for data.
fn foot(answer: &Answer) {
    let series = match &answer.payload.response.data {
        Data::Vector(columns) | Data::Matrix(columns) | Data::Series(columns) => columns.len(),
        Data::Strings(strings) => strings.len(),
        Data::Scalar { .. } | Data::String { .. } | Data::Document => 1,
    };
    eprintln!(
        "{series} series from {}: {}, {} old, {}",
        answer.source,
        answer.freshness.as_str(),
        table::duration(answer.age),
        answer.provenance.as_str()
    );
    for warning in &answer.payload.response.warnings {
        eprintln!("warning: {}", warning.escape_debug());
    }
    for info in &answer.payload.response.infos {
        eprintln!("info: {}", info.escape_debug());
    }
}

fn explain(error: &ClientError, arguments: &Query) -> ExitCode {
    let ClientError::Query(query_error) = error else {
        return refuse(FAILED, error);
    };
    let is_passing =
        query_error.may_serve_stale() || matches!(query_error, QueryError::Overloaded { .. });
    let code = if is_passing { FAILED } else { WRONG };
    let text: String = query_error
        .to_string()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let is_unreachable = matches!(query_error, QueryError::Unreachable { .. });
    let hint = if is_unreachable && arguments.source.is_none() {
        "; is a Tidegate running there? `tidegate serve` starts one, --server and --source name others"
    } else {
        ""
    };
    refuse(code, format_args!("{text}{hint}"))
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
