//! Transformations: what happens to samples and events before a sink sees them.

mod config;
mod relabel;
mod stage;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_series::{Family, Labels, LabelsError};

pub use self::config::{Relabel, RelabelAction, Transform};
use self::stage::{Outcome, Stage};
use crate::{Batch, Sink, SinkError, Takes, Troubles};

/// How many transformations a pipeline may have: each is tried on every sample.
pub const TRANSFORMS_MAX: usize = 64;

/// Transformations in order: what one lets pass, the next one sees.
///
/// A sample or event whose last label, or whose metric's name, is taken away is dropped. One that would
/// get labels no series can have is refused: it is lost, counted apart, and the sink's errors tell of
/// it. Two series that become one are one from then on: their samples follow each other as they come.
/// The stale marker is never computed with.
///
/// Descriptions follow the names of their metrics: they are renamed or dropped by what looks at the
/// name alone, and otherwise stay.
///
/// ```
/// use tidegate_record::{Batch, Pipeline, Transform};
/// use tidegate_series::{Labels, Sample};
///
/// let pipeline = Pipeline::new(&[
///     Transform::Drop { metric: "debug_.*".to_owned() },
///     Transform::Rename { metric: "wait_ms".to_owned(), to: "wait_seconds".to_owned() },
///     Transform::Scale { metric: "wait_seconds".to_owned(), factor: 0.001 },
/// ])?;
/// let sample = |name| Sample {
///     labels: Labels::from_pairs([("__name__", name)]).unwrap(),
///     timestamp_ms: 0,
///     value: 250.0,
/// };
/// let samples = vec![sample("debug_x"), sample("wait_ms")];
/// let (batch, refused) = pipeline.apply(&Batch { samples, ..Batch::default() });
/// assert_eq!(batch.samples[0].labels.to_string(), "wait_seconds");
/// assert_eq!((batch.samples.len(), batch.samples[0].value), (1, 0.25));
/// assert!(refused.is_none());
/// assert_eq!(pipeline.counts().stages()[0].dropped, 1);
/// # Ok::<(), tidegate_record::TransformError>(())
/// ```
#[derive(Debug)]
pub struct Pipeline {
    stages: Vec<Stage>,
    counts: PipelineCounts,
}

impl Pipeline {
    /// The pipeline of these transformations.
    ///
    /// # Errors
    ///
    /// The first one that makes no sense, with its number, or too many of them.
    pub fn new(transforms: &[Transform]) -> Result<Self, TransformError> {
        if transforms.len() > TRANSFORMS_MAX {
            return Err(TransformError {
                stage: TRANSFORMS_MAX + 1,
                field: "action",
                problem: format!("there may be {TRANSFORMS_MAX} transformations"),
            });
        }
        let stages = transforms.iter().zip(1..).map(|(transform, stage)| {
            Stage::new(transform).map_err(|(field, problem)| TransformError {
                stage,
                field,
                problem,
            })
        });
        let stages = stages.collect::<Result<Vec<_>, _>>()?;
        let counts = PipelineCounts(stages.iter().map(Counters::new).collect());
        Ok(Self { stages, counts })
    }

    /// What the stages have done so far; it goes on counting.
    #[must_use]
    pub fn counts(&self) -> PipelineCounts {
        self.counts.clone()
    }

    /// What is left of a batch, and what was refused of it, if anything was.
    pub fn apply(&self, batch: &Batch) -> (Batch, Option<PipelineLoss>) {
        let mut refused = None;
        let mut run = |labels: &Labels, value: f64| {
            self.run(labels, value).unwrap_or_else(|one| {
                refused = match refused.take() {
                    None => Some(one),
                    Some(first) => Some(PipelineLoss {
                        count: first.count + 1,
                        ..first
                    }),
                };
                None
            })
        };
        let samples = batch.samples.iter().filter_map(|sample| {
            let (labels, value) = run(&sample.labels, sample.value)?;
            let mut sample = sample.clone();
            (sample.labels, sample.value) = (labels, value);
            Some(sample)
        });
        let samples = samples.collect();
        let events = batch.events.iter().filter_map(|event| {
            let (labels, value) = run(&event.labels, event.value)?;
            let mut event = event.clone();
            (event.labels, event.value) = (labels, value);
            Some(event)
        });
        let events = events.collect();
        let families = batch
            .families
            .iter()
            .filter_map(|family| self.family(family));
        let families = families.collect();
        let batch = Batch {
            families,
            samples,
            events,
        };
        (batch, refused)
    }

    fn run(&self, labels: &Labels, mut value: f64) -> Result<Option<(Labels, f64)>, PipelineLoss> {
        let mut labels = labels.clone();
        for (number, stage) in self.stages.iter().enumerate() {
            let counters = &self.counts.0[number];
            match stage.apply(&labels, value) {
                Outcome::Same => count(&counters.passed),
                Outcome::Changed(changed, scaled) if changed.metric_name().is_some() => {
                    (labels, value) = (changed, scaled);
                    count(&counters.changed);
                }
                Outcome::Dropped | Outcome::Changed(..) => {
                    count(&counters.dropped);
                    return Ok(None);
                }
                Outcome::Refused(error) => {
                    count(&counters.refused);
                    return Err(PipelineLoss {
                        count: 1,
                        stage: number + 1,
                        error,
                    });
                }
            }
        }
        Ok(Some((labels, value)))
    }

    fn family(&self, family: &Family) -> Option<Family> {
        let mut family = family.clone();
        for stage in &self.stages {
            if let Some(name) = stage.family(&family.name)? {
                family.name = name;
            }
        }
        Some(family)
    }
}

/// What a pipeline could not give labels to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineLoss {
    /// How many samples and events.
    pub count: usize,
    /// Which stage refused the first of them, from 1.
    pub stage: usize,
    /// What is wrong with the labels that it would have got.
    pub error: LabelsError,
}

impl fmt::Display for PipelineLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, error, .. } = self;
        write!(
            f,
            "transformation {stage} makes labels that no series can have: {error}"
        )
    }
}

/// The counts of a pipeline, read from anywhere.
#[derive(Clone, Debug)]
pub struct PipelineCounts(Arc<[Counters]>);

impl PipelineCounts {
    /// What each stage has done so far, in order.
    #[must_use]
    pub fn stages(&self) -> Vec<StageCounts> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stages = self.0.iter().map(|counters| StageCounts {
            action: counters.action,
            passed: read(&counters.passed),
            changed: read(&counters.changed),
            dropped: read(&counters.dropped),
            refused: read(&counters.refused),
        });
        stages.collect()
    }
}

/// What one stage has done with samples and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCounts {
    /// What it does: `rename`, `drop`, `scale`, or an action of `relabel`.
    pub action: &'static str,
    /// Let pass as they were.
    pub passed: u64,
    /// Changed.
    pub changed: u64,
    /// Dropped, as it was told to.
    pub dropped: u64,
    /// Lost, since their labels would have been none.
    pub refused: u64,
}

#[derive(Debug)]
struct Counters {
    action: &'static str,
    passed: AtomicU64,
    changed: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    fn new(stage: &Stage) -> Self {
        Self {
            action: stage.action(),
            passed: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }
}

/// One thread counts; others only read.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A sink behind a pipeline.
#[derive(Debug)]
pub struct Transformed<S> {
    pipeline: Pipeline,
    sink: S,
}

impl<S> Transformed<S> {
    /// `sink`, which sees what `pipeline` leaves.
    pub const fn new(pipeline: Pipeline, sink: S) -> Self {
        Self { pipeline, sink }
    }
}

impl<S: Sink> Sink for Transformed<S> {
    fn takes(&self) -> Takes {
        self.sink.takes()
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let (batch, refused) = self.pipeline.apply(batch);
        let written = match batch.is_empty() && batch.families.is_empty() {
            true => Ok(()),
            false => self.sink.write(&batch),
        };
        let Some(refused) = refused else {
            return written;
        };
        let (message, dropped) = match written {
            Ok(()) => (refused.to_string(), refused.count),
            Err(error) => (
                format!("{refused}; and {}", error.message),
                refused.count + error.dropped,
            ),
        };
        Err(SinkError { message, dropped })
    }

    fn listen(&mut self, troubles: &Arc<Troubles>) {
        self.sink.listen(troubles);
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.sink.flush()
    }
}

/// What is wrong with a transformation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError {
    /// Which one, from 1.
    pub stage: usize,
    /// Which of its fields.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stage,
            field,
            problem,
        } = self;
        write!(f, "transformation {stage}, {field}: {problem}")
    }
}

impl Error for TransformError {}

#[cfg(test)]
mod tests;
