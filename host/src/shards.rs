//! The collectors of a host: one, or several that share nothing, each on a thread of its own.
//!
//! Which of them a request is for and what their replies come to is for [`ShardPlan`] to say; here
//! it is only done. One that breaks is replaced while the others go on.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::join_all;
use tidegate_api::{Change, HttpRequest, Merge, ShardPlan, ShardResponse, Way};
use tidegate_client::Transport;
use tidegate_client::native::TokioClock;
use tidegate_core::Config;

use crate::collector::{Collector, Part, ReloadError, StartError, Unavailable};
use crate::guest::{GuestCommand, GuestFactory, GuestReply, GuestResponse};
use crate::lending::Lending;
use crate::sinks::Sinks;

/// What a reply of another kind than the command is.
const MIXED_UP: &str = "the collector mixed up its replies";

/// The collectors. Shared by everyone who asks.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Collector>,
    plan: RwLock<Arc<ShardPlan>>,
    lending: Arc<Lending>,
    sinks: Arc<Sinks>,
}

/// The collectors, shared between the front, the node source and whoever else asks.
pub type SharedShards = Arc<Shards>;

impl Shards {
    /// Starts a collector for each of these transports, each with its share of the configuration.
    /// `version` is what `/api/v1/status/buildinfo` says. What the first guest of each is given is
    /// written to a new file: `recording`, if any, and of several the same with the shard's number
    /// after another dot.
    ///
    /// # Errors
    /// As [`Collector::start`].
    ///
    /// # Panics
    /// Without a transport, or with more than [`SHARDS_MAX`](tidegate_api::SHARDS_MAX).
    pub fn start<T>(
        factory: &GuestFactory,
        config: &Config,
        version: &str,
        transports: Vec<T>,
        recording: Option<&Path>,
    ) -> Result<Self, StartError>
    where
        T: Transport + Send + 'static,
    {
        Self::start_with(
            factory,
            config,
            version,
            transports,
            recording,
            Arc::default(),
        )
    }

    /// The same, with sinks to be handed what is added to Tidegate's own series.
    pub(crate) fn start_with<T>(
        factory: &GuestFactory,
        config: &Config,
        version: &str,
        transports: Vec<T>,
        recording: Option<&Path>,
        sinks: Arc<Sinks>,
    ) -> Result<Self, StartError>
    where
        T: Transport + Send + 'static,
    {
        let plan = ShardPlan::new(config, transports.len());
        assert_eq!(plan.shards(), transports.len(), "a number of shards");
        let lending = Arc::new(Lending::new(TokioClock::new(), plan.shards()));
        let mut shards = Vec::with_capacity(plan.shards());
        for (nth, transport) in transports.into_iter().enumerate() {
            let recording = recording.map(|path| recording_of(path, nth, plan.shards()));
            let part = Part {
                shard: (plan.shards() > 1).then_some(nth),
                lending: Arc::clone(&lending),
                sinks: Arc::clone(&sinks),
            };
            shards.push(Collector::start_part(
                factory.clone(),
                plan.share(config, nth),
                version,
                transport,
                recording.as_deref(),
                part,
            )?);
        }
        Ok(Self {
            shards,
            plan: RwLock::new(Arc::new(plan)),
            lending,
            sinks,
        })
    }

    /// What they have lent, to be given out without asking them.
    pub(crate) const fn lending(&self) -> &Arc<Lending> {
        &self.lending
    }

    /// Where what they add to their own series goes.
    pub(crate) const fn sinks(&self) -> &Arc<Sinks> {
        &self.sinks
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.shards.len()
    }

    /// Sends a command to the shards that it is for and waits for what their replies come to.
    /// Dropping the future abandons it.
    ///
    /// # Errors
    /// As [`Collector::call`]. What is asked of all is answered by those that are there, unless it
    /// needs them all.
    pub async fn call(&self, command: GuestCommand) -> Result<GuestReply, Unavailable> {
        if let [only] = &self.shards[..] {
            return only.call(command).await;
        }
        let plan = self.plan();
        match command {
            GuestCommand::Http(request) => match plan.way(&request) {
                Way::One(nth) => self.shards[nth].call(GuestCommand::Http(request)).await,
                Way::All(merge) => self.call_all(&plan, merge, &request).await,
            },
            GuestCommand::Record(_) => self.shards[plan.recording()].call(command).await,
            GuestCommand::Change(Change::Reload(config)) => match self.reload(*config).await {
                Ok(()) => Ok(GuestReply::Changed(Ok(0))),
                Err(ReloadError::Closed) => Err(Unavailable::Closed),
                Err(error) => Ok(GuestReply::Changed(Err(error.to_string()))),
            },
            GuestCommand::Change(change) => self.change(change).await,
        }
    }

    async fn all(&self, command: GuestCommand) -> Vec<Result<GuestReply, Unavailable>> {
        join_all(self.shards.iter().map(|shard| shard.call(command.clone()))).await
    }

    async fn call_all(
        &self,
        plan: &ShardPlan,
        merge: Merge,
        request: &HttpRequest,
    ) -> Result<GuestReply, Unavailable> {
        let mut unavailable = None;
        let mut responses = Vec::with_capacity(self.shards.len());
        for reply in self.all(GuestCommand::Http(request.clone())).await {
            responses.push(match reply {
                Ok(GuestReply::Http(response)) => Some(response),
                Ok(mixed_up) => return Ok(mixed_up),
                Err(why) => {
                    unavailable = Some(why);
                    None
                }
            });
        }
        match unavailable {
            Some(why) if merge.needs_all() => Err(why),
            why => {
                merged(plan, merge, responses).ok_or_else(|| why.unwrap_or(Unavailable::Restarting))
            }
        }
    }

    /// A shard that is not there has nothing in memory to forget or to drop; of anything else it
    /// must take note.
    async fn change(&self, change: Change) -> Result<GuestReply, Unavailable> {
        let forgets = matches!(change, Change::Invalidate(_) | Change::Untrack { .. });
        let mut results = Vec::with_capacity(self.shards.len());
        for reply in self.all(GuestCommand::Change(change.clone())).await {
            match reply {
                Ok(GuestReply::Changed(result)) => results.push(result),
                Ok(GuestReply::Http(_) | GuestReply::Recorded(_)) => {
                    results.push(Err(MIXED_UP.to_owned()));
                }
                Err(Unavailable::Restarting) if forgets => results.push(Ok(0)),
                Err(why) => return Err(why),
            }
        }
        Ok(GuestReply::Changed(ShardPlan::changed(&change, results)))
    }

    /// Applies a new configuration to all, or to none; see [`Collector::reload`].
    ///
    /// # Errors
    /// What a guest says is wrong with it, and then all are as they were; or the host is ending.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadError> {
        let plan = ShardPlan::new(&config, self.shards.len());
        let mut former = Vec::with_capacity(self.shards.len());
        for (nth, shard) in self.shards.iter().enumerate() {
            let before = shard.config();
            if let Err(error) = shard.reload(plan.share(&config, nth)).await {
                for (shard, before) in self.shards.iter().zip(former) {
                    // It had that one before.
                    let _ = shard.reload(before).await;
                }
                return Err(error);
            }
            former.push(before);
        }
        let mut current = self.plan.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(plan);
        Ok(())
    }

    /// Waits until every shard takes commands, or none will any more.
    pub async fn ready(&self) {
        join_all(self.shards.iter().map(Collector::ready)).await;
    }

    /// Lets all guests reply to what they were sent, and ends them. Waits for the end.
    pub async fn close(&self) {
        join_all(self.shards.iter().map(Collector::close)).await;
    }

    fn plan(&self) -> Arc<ShardPlan> {
        // It is replaced whole.
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&plan)
    }
}

/// What all say together.
fn merged(
    plan: &ShardPlan,
    merge: Merge,
    mut responses: Vec<Option<GuestResponse>>,
) -> Option<GuestReply> {
    let views: Vec<_> = responses
        .iter()
        .map(|response| {
            response.as_ref().map(|response| ShardResponse {
                status: response.status,
                body: &response.body,
            })
        })
        .collect();
    let merged = plan.merged(merge, &views)?;
    let mut response = mem::take(responses.get_mut(merged.of)?)?;
    if let Some(body) = merged.body {
        response.body = body;
    }
    Some(GuestReply::Http(response))
}

/// The file of a shard's recording.
fn recording_of(path: &Path, nth: usize, shards: usize) -> PathBuf {
    if shards == 1 {
        return path.into();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{nth}"));
    name.into()
}
