//! Several sinks as one.

use std::sync::Arc;

use super::{Sink, SinkError, Takes};
use crate::{Batch, Troubles};

/// Hands every batch to each of its sinks, one after the other, on the thread of the one sink it is.
///
/// For sinks that belong together. Those that shall not wait for each other are better added to a
/// [`Pump`](crate::Pump) one by one. What one of them loses is told, and the others get their batch all
/// the same; where several lose something, the largest number counts.
#[derive(Default)]
pub struct FanOut {
    sinks: Vec<Box<dyn Sink>>,
}

impl FanOut {
    /// No sinks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, behind those it has.
    #[must_use]
    pub fn with(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    fn each(
        &mut self,
        mut call: impl FnMut(&mut dyn Sink) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let outcomes = self.sinks.iter_mut().map(|sink| call(&mut **sink));
        let errors: Vec<SinkError> = outcomes.filter_map(Result::err).collect();
        if errors.is_empty() {
            return Ok(());
        }
        let dropped = errors.iter().map(|error| error.dropped).max();
        let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
        Err(SinkError {
            message: messages.join("; and "),
            dropped: dropped.unwrap_or_default(),
        })
    }
}

impl Sink for FanOut {
    /// What any of them takes; samples if there is none.
    fn takes(&self) -> Takes {
        let takes = self.sinks.iter().map(|sink| sink.takes());
        let all = takes.reduce(|one, other| if one == other { one } else { Takes::Everything });
        all.unwrap_or(Takes::Samples)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        self.each(|sink| sink.write(batch))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.each(|sink| sink.flush())
    }

    fn listen(&mut self, troubles: &Arc<Troubles>) {
        for sink in &mut self.sinks {
            sink.listen(troubles);
        }
    }
}

impl std::fmt::Debug for FanOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FanOut of {} sinks", self.sinks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses so many of each batch, and takes what it takes.
    struct Loses(usize, Takes);

    impl Sink for Loses {
        fn takes(&self) -> Takes {
            self.1
        }

        fn write(&mut self, _: &Batch) -> Result<(), SinkError> {
            match self.0 {
                0 => Ok(()),
                dropped => Err(SinkError {
                    message: format!("{dropped} lost"),
                    dropped,
                }),
            }
        }

        fn flush(&mut self) -> Result<(), SinkError> {
            self.write(&Batch::default())
        }
    }

    #[test]
    fn losses_are_told_together_and_the_largest_counts() {
        let mut all = FanOut::new()
            .with(Loses(2, Takes::Samples))
            .with(Loses(0, Takes::Samples))
            .with(Loses(5, Takes::Samples));
        for error in [all.write(&Batch::default()), all.flush()] {
            let error = error.unwrap_err();
            assert_eq!((error.dropped, &*error.message), (5, "2 lost; and 5 lost"));
        }
        let mut content = FanOut::new().with(Loses(0, Takes::Events));
        assert!(content.write(&Batch::default()).is_ok());
    }

    #[test]
    fn it_takes_what_any_of_them_takes() {
        let of = |takes: &[Takes]| {
            let all = takes
                .iter()
                .fold(FanOut::new(), |all, takes| all.with(Loses(0, *takes)));
            all.takes()
        };
        assert_eq!(of(&[]), Takes::Samples);
        assert_eq!(of(&[Takes::Events, Takes::Events]), Takes::Events);
        assert_eq!(of(&[Takes::Events, Takes::Samples]), Takes::Everything);
        assert_eq!(of(&[Takes::Everything, Takes::Samples]), Takes::Everything);
    }
}
