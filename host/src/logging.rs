//! Log lines: text for people, JSON for machines, one line per event in both.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;

/// What is logged unless told otherwise: our own news, and trouble of others.
const FILTER_DEFAULT: &str = "warn,tidegate=info,tidegate_host=info";

/// Longer lines are cut: nobody reads them, and something upstream wrote most of them.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Starts logging to standard error. `filter` has the form of `RUST_LOG`.
///
/// # Errors
/// What is wrong with the filter.
pub(crate) fn start(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = filter.unwrap_or(FILTER_DEFAULT);
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("bad --log filter {filter:?}: {error}; write LEVEL or TARGET=LEVEL, separated by commas, such as \"info\" or \"warn,tidegate=debug\"")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
        LogFormat::Text => {
            let has_colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(has_colours).event_format(Lines).init();
        }
    }
    Ok(())
}

/// Text lines: time, level, message, then `name=value` for each field. The library's own would
/// let line breaks through.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let (dim, colour, reset) = match (writer.has_ansi_escapes(), *event.metadata().level()) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => (DIM, "\x1b[31m", RESET),
            (true, Level::WARN) => (DIM, "\x1b[33m", RESET),
            (true, Level::INFO) => (DIM, "\x1b[32m", RESET),
            (true, _) => (DIM, "\x1b[34m", RESET),
        };
        writer.write_str(dim)?;
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level();
        writeln!(
            writer,
            "{reset} {colour}{level:>5}{reset} {}{dim}{}{reset}",
            line.message, line.fields
        )
    }
}

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The message and the fields of an event, escaped and bounded.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.add(field.name(), &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field.name(), &value.to_string());
    }
}

impl Line {
    fn add(&mut self, name: &str, value: &str) {
        if name == "message" {
            push_escaped(&mut self.message, value, false);
            return;
        }
        // Writing to a string cannot fail.
        let _ = write!(self.fields, " {name}=");
        let is_plain = !value.is_empty() && !value.contains([' ', '"', '=']);
        if is_plain {
            push_escaped(&mut self.fields, value, false);
        } else {
            self.fields.push('"');
            push_escaped(&mut self.fields, value, true);
            self.fields.push('"');
        }
    }
}

fn push_escaped(out: &mut String, text: &str, is_quoted: bool) {
    for c in text.chars() {
        if out.len() >= LINE_BYTES_MAX {
            out.push('…');
            return;
        }
        // Those that break lines, steer terminals or turn the direction of writing.
        let steers = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers || (is_quoted && matches!(c, '"' | '\\')) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Lines)
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_a_line_with_its_fields() {
        let line = logged(
            || tracing::warn!(source = "prom", count = 3, detail = %"two words", "fetch-failed"),
        );
        assert!(
            line.ends_with("  WARN fetch-failed source=prom count=3 detail=\"two words\"\n"),
            "{line}"
        );
    }

    #[test]
    fn nothing_in_an_event_can_forge_a_line_or_steer_a_terminal() {
        let nasty = "x\n2026-01-01 INFO forged\r\x1b[2J\u{202e}\"";
        let line = logged(|| tracing::info!(detail = %nasty, quoted = nasty, "said {nasty}"));
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(
            !line
                .trim_end()
                .contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }

    #[test]
    fn a_line_has_a_bounded_length() {
        let long = "y".repeat(1 << 20);
        assert!(logged(|| tracing::info!(detail = long, "m")).len() < 2 * LINE_BYTES_MAX);
    }
}
