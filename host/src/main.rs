//! Tidegate, the edge runtime: a sandboxed metrics collector between Prometheus and its readers.

mod cli;
mod logging;
mod packs;
mod query;
mod table;

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::BuildHasher;
use std::process::ExitCode;

use clap::Parser;
#[cfg(unix)]
use tidegate_host::Reloader;
use tidegate_host::config::{ConfigError, HostConfig};
use tidegate_host::{cache_dir_default, prepare};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use cli::{Cli, Command, Serve};

/// It failed, and nobody typed anything wrong.
const FAILED: u8 = 1;
/// The command line, the configuration or the query is wrong.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    // The parser prints its own errors and exits with 2.
    match Cli::parse().command {
        Command::Serve(arguments) => serve(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Packs(arguments) => packs::run(&arguments.command),
    }
}

fn serve(arguments: &Serve) -> ExitCode {
    if let Err(error) = logging::start(arguments.log_format, arguments.log.as_deref()) {
        return refuse(WRONG, error);
    }
    let mut arguments = arguments.clone();
    let seed = *arguments.seed.get_or_insert_with(random_seed);
    let config = match configured(&arguments) {
        Ok(config) => config,
        Err(error) => return refuse(WRONG, error),
    };
    tracing::info!(seed, "random choices; --seed repeats them");
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(FAILED, format_args!("cannot start threads: {error}")),
    };
    let ended = runtime.block_on(run(&config, &arguments));
    // What still hangs, such as a statvfs on a dead share, must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(FAILED, error),
    }
}

/// The file and the flags on top of it.
fn configured(arguments: &Serve) -> Result<HostConfig, ConfigError> {
    let mut config = match &arguments.config {
        Some(path) => HostConfig::load(path)?,
        None => HostConfig::default(),
    };
    for source in &arguments.source {
        config.add_source(source)?;
    }
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.shards = arguments.shards.unwrap_or(config.shards);
    config.seed = arguments.seed.unwrap_or(config.seed);
    Ok(config)
}

/// A number from the system's own source of chance, by which the standard library keys its hashes.
fn random_seed() -> u64 {
    RandomState::new().hash_one("tidegate")
}

async fn run(config: &HostConfig, arguments: &Serve) -> Result<(), String> {
    let cache_dir = arguments.cache_dir.clone().or_else(cache_dir_default);
    let stop = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    #[cfg(unix)]
    let hangups = hangups(arguments)?;
    let serving = prepare(config, cache_dir.as_deref(), arguments.record.as_deref())
        .await
        .map_err(|error| error.to_string())?;
    #[cfg(unix)]
    if let Some(hangups) = hangups {
        tokio::spawn(reload_at(hangups, serving.reloader(), arguments.clone()));
    }
    let address = serving.address();
    tracing::info!("listening on http://{address}/");
    serving.run(stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Hears SIGHUP, where there is a file to read again; without one, it ends the process as ever.
#[cfg(unix)]
fn hangups(arguments: &Serve) -> Result<Option<Signal>, String> {
    let hangups = arguments
        .config
        .as_ref()
        .map(|_| signal(SignalKind::hangup()));
    hangups
        .transpose()
        .map_err(|error| format!("cannot listen for signals: {error}"))
}

/// Reads the file again at every hangup, and applies it if it is right.
#[cfg(unix)]
async fn reload_at(mut hangups: Signal, mut reloader: Reloader, arguments: Serve) {
    while hangups.recv().await.is_some() {
        let config = match configured(&arguments) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(error = %error, "the new configuration is wrong: nothing changes");
                continue;
            }
        };
        match reloader.apply(config).await {
            Ok(()) => tracing::info!("the new configuration is in effect"),
            Err(error) => {
                tracing::error!(error = %error, "the new configuration was not applied: nothing changes");
            }
        }
    }
}

/// Ends at the first SIGINT or SIGTERM. A second one ends the process.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = signal(SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    Ok(async move {
        next().await;
        tracing::info!("stopping: requests in flight may end; once more to stop at once");
        tokio::spawn(async move {
            next().await;
            std::process::exit(i32::from(FAILED));
        });
    })
}

fn refuse(code: u8, error: impl Display) -> ExitCode {
    eprintln!("tidegate: {error}");
    ExitCode::from(code)
}
