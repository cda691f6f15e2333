//! The command line: what there is, and the help that teaches it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_host::config::ShardCount;

const ABOUT: &str = "Tidegate stands between Prometheus and everything that reads it: \
it decides what to fetch, what is still fresh and what may be served from memory.";

const EXAMPLES: &str = "\
Examples:
  Watch this very machine, at http://127.0.0.1:9200/:
    tidegate serve

  Stand in front of a Prometheus; readers then use http://127.0.0.1:9200 in its place:
    tidegate serve --source prom=http://127.0.0.1:9090

  Ask what a running Tidegate knows:
    tidegate query node_load1

Exit codes: 0 success, 1 it failed, 2 the command line, the configuration or the query is wrong.";

const SERVE_EXAMPLES: &str = "\
Examples:
  This machine alone, on the usual address:
    tidegate serve

  Two Prometheus servers; the first answers at /api/v1/…, each under /source/NAME/api/v1/…:
    tidegate serve --source prom=http://127.0.0.1:9090 --source far=https://prom.example.org

  From a file, with logs for machines:
    tidegate serve --config tidegate.toml --log-format json

  On many cores, for many readers:
    tidegate serve --config tidegate.toml --shards auto

  Apply what has changed in the file, without a restart:
    kill -HUP $(pidof tidegate)

  See what the collector decides:
    tidegate serve --log warn,tidegate=debug

  Write down what it decides on, to have it all again with `cargo xtask replay tidegate.rec`:
    tidegate serve --config tidegate.toml --record tidegate.rec

A source that is down does not keep Tidegate from starting: /health says so, and what depends on it
is answered as soon as it is back. Ctrl-C or SIGTERM lets requests in flight end, for at most 10 s.
SIGHUP reads the file again: what is cached and still valid is kept, and a file that is wrong changes
nothing.

Exit codes: 0 stopped as asked, 1 it cannot run (the port is taken), 2 the command line or the
configuration is wrong.";

const QUERY_EXAMPLES: &str = "\
Examples:
  How busy this machine is, from the Tidegate on this machine:
    tidegate query node_load1

  From a Prometheus, without any Tidegate running:
    tidegate query 'sum by (job) (up)' --source prom=http://127.0.0.1:9090

  As it was at a moment, for a program:
    tidegate query up --time 2026-11-21T08:00:00Z --json

On a terminal the answer is a table, its freshness and provenance below. Elsewhere it is plain
lines, SERIES<tab>VALUE<tab>SECONDS OLD, and the rest goes to standard error. --json gives exactly
the bytes that the source sent.

Exit codes: 0 there is an answer (also an empty one), 1 there is none (the source is unreachable or
failed), 2 the command line or the query is wrong.";

const PACKS_EXAMPLES: &str = "\
Examples:
  What packs there are:
    tidegate packs list

  Start a pack of your own from one that is shipped; give it another name, and have a source take it:
    tidegate packs show inference > my-packs.toml

  With those of a configuration:
    tidegate packs list --config tidegate.toml

A pack is queries, and records that are read from their answers, at /v1/packs/PACK/RECORD. It stands
as [[pack]] in the configuration, or in a file of its own that pack_files names; a source whose packs
list it answers its queries. A shipped pack keeps its name: to change one of its queries alone, give
the source a template of that query's name.

Exit codes: 0 success, 2 the command line or the configuration is wrong, or there is no such pack.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the collector: the HTTP API, the dashboard and the node source
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Ask one question and print the answer
    #[command(after_help = QUERY_EXAMPLES)]
    Query(Query),
    /// Show packs: queries and the records read from their answers, as TOML to start from
    #[command(after_help = PACKS_EXAMPLES)]
    Packs(Packs),
}

#[derive(Debug, Args)]
pub(crate) struct Packs {
    #[command(subcommand)]
    pub(crate) command: PacksCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PacksCommand {
    /// List the packs there are, with their records
    List(PacksFrom),
    /// Print one as TOML
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        from: PacksFrom,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PacksFrom {
    /// Takes in the packs of this configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file, read again at SIGHUP; tidegate.example.toml shows every key
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Adds a Prometheus under a name, beside those of the file; may be given again
    #[arg(long, value_name = "NAME=URL")]
    pub(crate) source: Vec<String>,
    /// Where to listen [default: the file's, else 127.0.0.1:9200]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Over how many collectors the work is spread, by what is asked; "auto" is one for each core
    /// [default: the file's, else 1]
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<ShardCount>,
    /// What random choices such as jitter are drawn from, to repeat a run [default: another one
    /// each time, which the log says]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// What is logged, in the form of RUST_LOG, which it takes the place of
    #[arg(long, value_name = "FILTER", env = "RUST_LOG")]
    pub(crate) log: Option<String>,
    /// Writes down all that goes into the collector, for `cargo xtask replay`: questions and answers,
    /// no addresses and no credentials. The file must be new; it ends at 256 MiB. Of several shards,
    /// each has its own: FILE.0, FILE.1, …
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Where the compiled collector is kept [default: tidegate in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The PromQL to ask
    #[arg(value_name = "EXPR")]
    pub(crate) expr: String,
    /// Asks this Prometheus
    #[arg(long, value_name = "NAME=URL", conflicts_with = "server")]
    pub(crate) source: Option<String>,
    /// Asks this Tidegate
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9200")]
    pub(crate) server: String,
    /// Asks about this instant: RFC 3339, or seconds since 1970 [default: now]
    #[arg(long, value_name = "T")]
    pub(crate) time: Option<String>,
    /// Prints the source's JSON, byte for byte
    #[arg(long)]
    pub(crate) json: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub(crate) timeout: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people, with colours on a terminal
    Text,
    /// For machines, one JSON object per line
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_examples() {
        let mut command = Cli::command();
        for name in ["serve", "query", "packs"] {
            let help = command
                .find_subcommand_mut(name)
                .unwrap()
                .render_long_help()
                .to_string();
            assert!(
                help.contains("Examples:") && help.contains("Exit codes:"),
                "{name}"
            );
        }
    }

    #[test]
    fn shards_are_counted_or_one_for_each_core() {
        let given = |shards| {
            let cli = Cli::try_parse_from(["tidegate", "serve", "--shards", shards]);
            cli.map(|cli| match cli.command {
                Command::Serve(serve) => serve.shards.unwrap(),
                Command::Query(_) | Command::Packs(_) => panic!("serve"),
            })
        };
        assert_eq!(given("3").unwrap(), ShardCount::Fixed(3));
        assert_eq!(given("auto").unwrap(), ShardCount::Auto);
        let error = given("0").unwrap_err().to_string();
        assert!(error.contains("from 1 to 64, or auto"), "{error}");
    }

    #[test]
    fn sources_can_be_given_again() {
        let cli = Cli::try_parse_from([
            "tidegate",
            "serve",
            "--source",
            "a=http://a",
            "--source",
            "b=http://b",
        ])
        .unwrap();
        let Command::Serve(serve) = cli.command else {
            panic!("serve")
        };
        assert_eq!(serve.source.len(), 2);
    }
}
