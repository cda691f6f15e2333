//! A collector in a tokio program: sources in, answers and records out.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tidegate_api::{Command, Front, HttpRequest, HttpResponse, Reply};
use tidegate_core::{
    Aggregation, AggregationError, Answer, Ask, CollectPlan, CollectedMetrics, Config, Group,
    NamedAnswer, Now, OwnerError, PackRecord, Params, Priority, Query, QueryError, Range, Record,
    RecordError, Recorded, UnixMillis,
};
use tokio::runtime;

use super::addresses::Addresses;
use super::builder::{BuildError, Builder, Recording, Setup};
use super::clock::TokioClock;
use super::http::HttpTransport;
use super::records::{Owners, Records};
use super::terms::Terms;
use super::watch::{Ended, Watch};
use crate::recording::{RECORDING_BYTES_MAX, Recorder, Start};
use crate::{ClientError, Clock, Closed, Declined, Handle, driver};

/// A collector on a tokio runtime: the library that an autoscaler or exporter asks for metrics.
///
/// A client is cheap to clone, and any number of tasks on any threads may share it. Asks never
/// wait for each other: what is in memory is answered at once, whatever else is being fetched;
/// what is not is fetched once, for all who ask. The collector ends with the last clone, or when
/// it is [closed](Self::close).
///
/// ```no_run
/// use std::time::Duration;
///
/// use tidegate_client::native::{Freshness, ReplicaMetrics, Tidegate, packs};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Tidegate::builder()
///     .source("prom", "http://127.0.0.1:9090")
///     .pack(packs::inference())
///     .owner("llama-deployment", "llama-8b-autoscaler")
///     .build()?;
///
/// let model = [("modelID", "llama-8b"), ("namespace", "default")];
/// let replicas = client
///     .max_age(Duration::from_secs(60))
///     .records::<ReplicaMetrics>(model)
///     .await?;
/// for replica in replicas.owned_by("llama-8b-autoscaler") {
///     if replica.freshness == Freshness::Fresh {
///         println!("{}: {:?}", replica.pod, replica.kv_cache.value());
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Whom to ask, and how
/// Unless told otherwise, questions are asked of the default source, by its own ttl, thresholds
/// and timeout. [`of`](Self::of), [`max_age`](Self::max_age), [`allow_stale`](Self::allow_stale),
/// [`timeout`](Self::timeout), [`priority`](Self::priority), [`at`](Self::at) and
/// [`over`](Self::over) give a client of
/// the same collector that asks on other terms. [`query`](Self::query) asks as its [`Ask`] says.
///
/// # Parameters
/// Values by name, as pairs of anything that becomes a [`String`], or as [`Params`]; none are
/// `Params::new()`. Those a template does not have are ignored.
#[derive(Clone, Debug)]
pub struct Tidegate {
    pub(super) handle: Handle<Command, Reply>,
    pub(super) shared: Arc<Shared>,
    terms: Arc<Terms>,
}

/// What all clones share beside the collector.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) transport: HttpTransport,
    pub(super) owners: Owners,
    pub(super) runtime: runtime::Handle,
    /// The addresses in use. Held while a reload lasts: one at a time, so that addresses and
    /// sources are of the same one.
    pub(super) addresses: futures_util::lock::Mutex<Addresses>,
    ended: Ended,
}

impl Tidegate {
    /// Begins a client without sources.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn start(setup: Setup, runtime: runtime::Handle) -> Result<Self, BuildError> {
        let clock = TokioClock::new();
        let machine = machine(setup.config, setup.recording, clock.now())?;
        let transport = HttpTransport::new([]).map_err(BuildError::Transport)?;
        transport.set_addresses(setup.addresses.clone());
        let (handle, running) = driver(machine, transport.clone(), clock, setup.observer);
        let (alive, ended) = oneshot::channel();
        runtime.spawn(async move {
            // In process there is no border to break at, so it ends well.
            let _ = running.await;
            drop(alive);
        });
        let shared = Shared {
            transport,
            owners: Owners::new(setup.owners),
            runtime,
            addresses: futures_util::lock::Mutex::new(setup.addresses),
            ended: ended.shared(),
        };
        Ok(Self {
            handle,
            shared: Arc::new(shared),
            terms: Arc::default(),
        })
    }

    /// Asks, and waits for the answer, at the longest as long as the ask's timeout.
    ///
    /// # Errors
    /// Why there is no answer, or that the client is closed.
    pub async fn query(&self, ask: Ask) -> Result<Answer, ClientError> {
        self.handle.query(ask).await
    }

    /// The answer to one template.
    ///
    /// Look at its [freshness](Answer::freshness) before acting on it: data past the source's
    /// thresholds is served, marked, unless [`max_age`](Self::max_age) forbids. An answer without
    /// series is an answer; whether it means 0 is for the asker to know.
    ///
    /// # Errors
    /// Why there is no answer, or that the client is closed.
    pub async fn collect(
        &self,
        template: impl Into<String>,
        params: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Answer, ClientError> {
        let ask = Ask::template(template, owned(params));
        self.query(self.terms.of(ask)).await
    }

    /// The answers to several templates with one set of parameters, asked at once, in their
    /// order. Each is an answer or an error of its own.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn collect_many(
        &self,
        templates: impl IntoIterator<Item = impl Into<String>>,
        params: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Vec<NamedAnswer>, Closed> {
        let params = owned(params);
        let ask = |template: String| Ask::template(template, params.clone());
        let asks = templates.into_iter().map(Into::into).map(ask).collect();
        self.collect_asks(asks).await
    }

    /// The answers to all templates of the source, by their names: of the first one named with
    /// [`of`](Self::of), else of the default source. Those that lack a parameter are errors among
    /// the answers.
    ///
    /// # Errors
    /// The source does not exist, or the client is closed.
    pub async fn collect_all(
        &self,
        params: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Vec<NamedAnswer>, ClientError> {
        let params = owned(params);
        let templates = match self.terms.sources.first() {
            Some(source) => self.templates(source).await?,
            None => self.templates(&self.default_source().await?).await?,
        };
        let names = templates.into_iter().map(|template| template.name);
        Ok(self.collect_many(names, params).await?)
    }

    /// A node and its functions over one window of time, which must not end ahead of now. The
    /// packs `node` and `functions` must be registered with whom is asked.
    ///
    /// # Errors
    /// The client is closed. Queries that fail leave their fields missing, and are listed.
    pub async fn collect_window(&self, plan: &CollectPlan) -> Result<CollectedMetrics, Closed> {
        let named = self.collect_asks(plan.asks()).await?;
        let results: Vec<_> = named.into_iter().map(|(_, result)| result).collect();
        Ok(plan.read(&results))
    }

    /// The records of a pack, which must be registered with whom is asked.
    ///
    /// No rows can mean that there is nothing, or that nobody could say: look at the problems.
    ///
    /// # Errors
    /// The client is closed. Queries that fail leave their fields missing, and are listed.
    pub async fn records<R: PackRecord>(
        &self,
        params: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Records<R>, Closed> {
        let params = owned(params);
        let answers = self.collect_asks(R::queries(&params)).await?;
        let records = R::from_answers(&params, &answers);
        Ok(Records::new(records, self.shared.owners.snapshot()))
    }

    /// Asks now and then every so often, at least [`WATCH_EVERY_MIN`](super::WATCH_EVERY_MIN)
    /// apart, whenever the stream is polled: see [`Watch`]. Most of these asks are answered from
    /// memory, which is kept up to date meanwhile; so `every` is how often the reader wants to
    /// look, not how often the source is asked.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tidegate_client::native::{Ask, Tidegate};
    /// # async fn example(client: Tidegate) {
    /// let mut load = client.watch(Ask::promql("sum(up)"), Duration::from_secs(5));
    /// while let Some(answer) = load.next().await {
    ///     match answer {
    ///         Ok(answer) => println!("{}", answer.freshness.as_str()),
    ///         Err(error) => println!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn watch(&self, ask: Ask, every: Duration) -> Watch<Answer> {
        let client = self.clone();
        let again = move || {
            let (client, ask) = (client.clone(), ask.clone());
            async move { client.query(ask).await }.boxed()
        };
        let shared = &self.shared;
        Watch::new(again, every, shared.ended.clone(), shared.runtime.clone())
    }

    /// Reads [`records`](Self::records) now and then every so often, as [`watch`](Self::watch)
    /// does.
    pub fn watch_records<R: PackRecord + Send + 'static>(
        &self,
        params: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
        every: Duration,
    ) -> Watch<Records<R>> {
        let (client, params) = (self.clone(), owned(params));
        let again = move || {
            let (client, params) = (client.clone(), params.clone());
            async move { Ok(client.records::<R>(params).await?) }.boxed()
        };
        let shared = &self.shared;
        Watch::new(again, every, shared.ended.clone(), shared.runtime.clone())
    }

    /// Adds a batch of a push source to Tidegate's own series: by [`Builder::push`] there is one.
    /// Each sample is taken or refused by itself.
    ///
    /// # Errors
    /// Why the whole batch was refused, or the client is closed.
    pub async fn record(&self, record: Record) -> Result<Recorded, Declined<RecordError>> {
        self.handle.record(record).await
    }

    /// Asks about windows of Tidegate's own series: a group for each combination of labels that
    /// has samples in one of them, in the order of the labels.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use tidegate_client::native::Tidegate;
    /// use tidegate_core::{Aggregation, Grouping, Record, Sample, Statistic};
    /// use tidegate_series::Labels;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let client = Tidegate::builder().push("jobs").build()?;
    /// let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    /// let labels = Labels::from_pairs([("__name__", "job_seconds"), ("queue", "a")])?;
    /// let samples = [0.25, 0.5, 0.75].iter().enumerate().map(|(nth, &value)| Sample {
    ///     labels: labels.clone(),
    ///     timestamp_ms: now_ms - 3_000 + 1_000 * nth as i64,
    ///     value,
    /// });
    /// let record = Record { source: "jobs".into(), samples: samples.collect(), ..Record::default() };
    /// assert_eq!(client.record(record).await?.accepted, 3);
    /// let groups = client
    ///     .aggregate(Aggregation {
    ///         selectors: vec!["job_seconds".into()],
    ///         window: Duration::from_secs(300),
    ///         time: None,
    ///         range: None,
    ///         grouping: Grouping::By(vec!["queue".into()]),
    ///         statistics: vec![Statistic::Avg, Statistic::Max],
    ///     })
    ///     .await?;
    /// assert_eq!(groups[0].labels.to_string(), r#"{queue="a"}"#);
    /// assert_eq!(groups[0].points[0].values, [Some(0.5), Some(0.75)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the question, or the client is closed.
    pub async fn aggregate(
        &self,
        asked: Aggregation,
    ) -> Result<Vec<Group>, Declined<AggregationError>> {
        self.handle.aggregate(asked).await
    }

    /// Sends a request to Tidegate's HTTP API, as a program does that serves `/metrics` or
    /// `/health` of its collector beside its own.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn http(&self, request: HttpRequest) -> Result<HttpResponse, Closed> {
        match self.handle.call(Command::Http(request)).await? {
            Reply::Http(response) => Ok(response),
            Reply::Answer(_) | Reply::Recorded(_) | Reply::Aggregated(_) | Reply::Changed(_) => {
                unreachable!("a machine replies to a request with a response")
            }
        }
    }

    /// Gives the pods of a workload to an owner from now on, and says whose they were. A pod
    /// belongs to the longest workload that its name begins with: see
    /// [`OwnerMap`](tidegate_core::OwnerMap). All clones share the owners. Those that change while
    /// the client is in use are the client's own: `/v1/owners` by [`http`](Self::http) tells of the
    /// collector's, which begin as the builder says and change there.
    ///
    /// # Errors
    /// A name that is none, or too many workloads; then nothing changes.
    pub fn register_owner(
        &self,
        workload: &str,
        owner: &str,
    ) -> Result<Option<String>, OwnerError> {
        let register = |owners: &mut tidegate_core::OwnerMap| owners.register(workload, owner);
        self.shared.owners.change(register)
    }

    /// Forgets whose the pods of a workload are, and says whose they were.
    pub fn unregister_owner(&self, workload: &str) -> Option<String> {
        self.shared
            .owners
            .change(|owners| owners.unregister(workload))
    }

    /// Who owns this pod.
    pub fn owner_of(&self, pod: &str) -> Option<String> {
        let owners = self.shared.owners.snapshot();
        owners.owner_of(pod).map(ToOwned::to_owned)
    }

    /// Ends the collector once everything that was sent before has its reply. Whoever asks later,
    /// by whatever clone, finds it closed; watches end.
    pub fn close(&self) {
        self.handle.close();
    }

    /// Whether the collector is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// The handle below, for commands of other kinds.
    pub fn handle(&self) -> &Handle<Command, Reply> {
        &self.handle
    }

    /// Asks all at once; the answers come in the same order.
    async fn collect_asks(&self, asks: Vec<Ask>) -> Result<Vec<NamedAnswer>, Closed> {
        let answers = asks.into_iter().map(async |ask| {
            let name = match &ask.query {
                Query::Template { name, .. } => name.clone(),
                Query::PromQl(text) | Query::Endpoint { path: text, .. } => text.clone(),
            };
            let result: Result<Answer, QueryError> = match self.query(self.terms.of(ask)).await {
                Ok(answer) => Ok(answer),
                Err(ClientError::Query(error)) => Err(error),
                Err(ClientError::Closed) => return Err(Closed),
            };
            Ok((name, result))
        });
        join_all(answers).await.into_iter().collect()
    }
}

/// The same collector, asked on other terms.
impl Tidegate {
    /// Asks this source, as well as those named before: answers of several are merged, each
    /// series with its source's name as label `source`, and a source that fails is a warning.
    #[must_use]
    pub fn of(&self, source: impl Into<String>) -> Self {
        self.on(|terms| terms.sources.push(source.into()))
    }

    /// Wants data no older than this, by its own instant.
    #[must_use]
    pub fn max_age(&self, max_age: Duration) -> Self {
        self.on(|terms| terms.max_age = Some(max_age))
    }

    /// Takes data past its ttl at once, while newer data is fetched behind.
    #[must_use]
    pub fn allow_stale(&self) -> Self {
        self.on(|terms| terms.allow_stale = true)
    }

    /// Takes no data further past its ttl than this, be it served at once as
    /// [`allow_stale`](Self::allow_stale) says or because the source fails.
    #[must_use]
    pub fn max_stale(&self, max_stale: Duration) -> Self {
        self.on(|terms| terms.max_stale = Some(max_stale))
    }

    /// Waits no longer than this for each answer. The source's own timeout caps it.
    #[must_use]
    pub fn timeout(&self, timeout: Duration) -> Self {
        self.on(|terms| terms.timeout = Some(timeout))
    }

    /// Goes first, or last, where a source's queue is not empty.
    #[must_use]
    pub fn priority(&self, priority: Priority) -> Self {
        self.on(|terms| terms.priority = priority)
    }

    /// Asks about this instant rather than about now.
    #[must_use]
    pub fn at(&self, time: UnixMillis) -> Self {
        self.on(|terms| (terms.time, terms.range) = (Some(time), None))
    }

    /// Asks about all instants of a range: templates are answered with a matrix, of which only
    /// what is not at hand is fetched. Records and windows are about instants, and not asked so.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tidegate_client::native::{Params, Range, Tidegate, UnixMillis};
    /// # async fn example(client: Tidegate, now: UnixMillis) -> Result<(), Box<dyn std::error::Error>> {
    /// let hour = Range {
    ///     start: UnixMillis(now.0 - 3_600_000),
    ///     end: now,
    ///     step: Duration::from_secs(15),
    /// };
    /// let load = client.over(hour).collect("load", Params::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn over(&self, range: Range) -> Self {
        self.on(|terms| (terms.time, terms.range) = (None, Some(range)))
    }

    fn on(&self, change: impl FnOnce(&mut Terms)) -> Self {
        let mut other = self.clone();
        change(Arc::make_mut(&mut other.terms));
        other
    }
}

/// The collector, and what writes down its inputs.
fn machine(
    config: Config,
    recording: Option<Recording>,
    now: Now,
) -> Result<Recorder<Front, Recording>, BuildError> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let front = Front::new(config.clone(), VERSION, now).map_err(BuildError::Config)?;
    let Some(out) = recording else {
        return Ok(Recorder::off(front));
    };
    let start = Start {
        config: &config,
        version: VERSION,
        now,
        is_stepped: false,
    };
    Recorder::new(front, out, start, RECORDING_BYTES_MAX).map_err(|error| BuildError::Recording {
        detail: error.to_string(),
    })
}

fn owned(params: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Params {
    let owned = |(name, value): (_, _)| (Into::into(name), Into::into(value));
    params.into_iter().map(owned).collect()
}
