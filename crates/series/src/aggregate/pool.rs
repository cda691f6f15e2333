//! Pools: what the samples of a group add up to in one window.

use alloc::vec::Vec;

use super::{AggregateLimits, GroupPoint};
use crate::float::{Sum, canonical};
use crate::quantile::{Place, QuantileMethod, Selection};
use crate::ring::{Columns, Part, Points};
use crate::sketch::Sketch;
use crate::stale::is_stale;
use crate::window::{EMA_HALF_LIVES, Ema, Moments, Statistic, Totals, Window};

/// What has to be known for the statistics asked for.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    moments: bool,
    quantiles: bool,
    rates: bool,
    half_lives_ms: Vec<u64>,
}

impl Needs {
    pub(super) fn of(statistics: &[Statistic], window_ms: u64) -> Self {
        let mut half_lives_ms: Vec<_> = statistics
            .iter()
            .filter_map(|statistic| half_life_ms(statistic, window_ms))
            .collect();
        half_lives_ms.sort_unstable();
        half_lives_ms.dedup();
        let any = |of: fn(&Statistic) -> bool| statistics.iter().any(of);
        Self {
            moments: any(|statistic| matches!(statistic, Statistic::StdDev | Statistic::StdVar)),
            quantiles: any(|statistic| quantile(statistic).is_some()),
            rates: any(|statistic| {
                use Statistic::{Delta, Increase, Rate};
                matches!(statistic, Delta | Increase | Rate)
            }),
            half_lives_ms,
        }
    }

    /// Whether summaries of chunks are not enough.
    pub(super) const fn every_sample(&self) -> bool {
        self.moments || self.quantiles || !self.half_lives_ms.is_empty()
    }
}

fn half_life_ms(statistic: &Statistic, window_ms: u64) -> Option<u64> {
    let Statistic::Ema { half_life_ms } = *statistic else {
        return None;
    };
    Some(half_life_ms.unwrap_or(window_ms / EMA_HALF_LIVES).max(1))
}

fn quantile(statistic: &Statistic) -> Option<(f64, QuantileMethod)> {
    if let Statistic::Quantile { percent } = *statistic {
        return Some((percent / 100.0, QuantileMethod::Linear));
    }
    let Statistic::NearestRank { percent } = *statistic else {
        return None;
    };
    Some((percent / 100.0, QuantileMethod::NearestRank))
}

/// Samples added up, series by series, and memory for it that is used again for the next window.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    needs: &'a Needs,
    exact_samples_max: usize,
    window: Window,
    /// Of the series that is being added.
    own: Option<Totals>,
    own_emas: Vec<Ema>,
    /// Of all.
    all: Option<Totals>,
    moments: Moments,
    values: Vec<f64>,
    sketch: Option<Sketch>,
    rates: Rates,
    series: u64,
    averages: Sum,
    emas: Vec<Sum>,
    selection: Selection,
    columns: Columns,
}

/// Sums over the series that have one.
#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    rate: Option<f64>,
    increase: Option<f64>,
    delta: Option<f64>,
}

impl Rates {
    fn add(&mut self, own: &Totals, window: Window) {
        for (sum, own) in [
            (&mut self.rate, own.rate(window)),
            (&mut self.increase, own.increase(window)),
            (&mut self.delta, own.delta(window)),
        ] {
            if let Some(own) = own {
                *sum = Some(sum.unwrap_or(0.0) + own);
            }
        }
    }
}

impl<'a> Pool<'a> {
    pub(super) fn new(needs: &'a Needs, limits: &AggregateLimits) -> Self {
        Self {
            needs,
            exact_samples_max: limits.exact_samples_max,
            window: Window::ending(0, 0),
            own: None,
            own_emas: Vec::new(),
            all: None,
            moments: Moments::default(),
            values: Vec::new(),
            sketch: None,
            rates: Rates::default(),
            series: 0,
            averages: Sum::new(),
            emas: Vec::new(),
            selection: Selection::default(),
            columns: Columns::default(),
        }
    }

    /// Begins anew, with another window.
    pub(super) fn restart(&mut self, window: Window) {
        self.window = window;
        self.all = None;
        self.moments = Moments::default();
        self.values.clear();
        self.sketch = None;
        self.rates = Rates::default();
        self.series = 0;
        self.averages = Sum::new();
        self.emas.clear();
        self.emas.resize(self.needs.half_lives_ms.len(), Sum::new());
    }

    /// Adds a part of a series, later than the parts of it before. Says how many samples that meant to look at.
    pub(super) fn add(&mut self, part: &Part<'_>) -> u64 {
        if let Some(later) = Totals::of_part(part) {
            match &mut self.own {
                Some(own) => own.follow(&later),
                None => self.own = Some(later),
            }
        }
        match part {
            Part::Chunk(_) if !self.needs.every_sample() => 1,
            Part::Chunk(chunk) => {
                let mut columns = core::mem::take(&mut self.columns);
                columns.replace(part);
                self.add_samples(&Points::new(&columns.times_ms, &columns.values));
                self.columns = columns;
                chunk.len() as u64
            }
            Part::Points(points) => {
                if self.needs.every_sample() {
                    self.add_samples(points);
                }
                points.values().len() as u64
            }
        }
    }

    fn add_samples(&mut self, points: &Points<'_>) {
        let values = points.values();
        if self.needs.moments {
            self.moments.add(values);
        }
        if self.needs.quantiles {
            self.add_values(values);
        }
        if self.own_emas.is_empty() {
            let half_lives_ms = self.needs.half_lives_ms.iter();
            self.own_emas
                .extend(half_lives_ms.map(|&half_life_ms| Ema::new(half_life_ms)));
        }
        for ema in &mut self.own_emas {
            for (nth, &value) in values.iter().enumerate() {
                ema.add(points.time_ms(nth), value);
            }
        }
    }

    fn add_values(&mut self, values: &[f64]) {
        if let Some(sketch) = &mut self.sketch {
            sketch.add(values);
            return;
        }
        self.values
            .extend(values.iter().copied().filter(|&value| !is_stale(value)));
        if self.values.len() > self.exact_samples_max {
            let mut sketch = Sketch::new();
            sketch.add(&self.values);
            self.values.clear();
            self.sketch = Some(sketch);
        }
    }

    /// What was added since the last one is a series.
    pub(super) fn end_series(&mut self) {
        let emas = self.own_emas.drain(..);
        for (sum, ema) in self.emas.iter_mut().zip(emas) {
            ema.value().into_iter().for_each(|ema| sum.add(ema));
        }
        let Some(own) = self.own.take() else {
            return;
        };
        if self.needs.rates {
            self.rates.add(&own, self.window);
        }
        self.series += 1;
        self.averages.add(own.avg());
        match &mut self.all {
            Some(all) => all.pool(&own),
            None => self.all = Some(own),
        }
    }

    /// What the statistics say; `None` for no sample.
    pub(super) fn point(&mut self, statistics: &[Statistic]) -> Option<GroupPoint> {
        let all = self.all?;
        let place = |statistic: &Statistic| {
            let (q, method) = quantile(statistic)?;
            Some(Place::of(q, all.count(), method))
        };
        if self.sketch.is_none() {
            let places: Vec<_> = statistics.iter().filter_map(place).collect();
            self.selection.select(&self.values, &places);
        }
        let value = |statistic: &Statistic| self.value(statistic, &all).map(canonical);
        Some(GroupPoint {
            end_ms: self.window.end_inclusive_ms,
            values: statistics.iter().map(value).collect(),
            approximate: self.sketch.is_some(),
        })
    }

    fn value(&self, statistic: &Statistic, all: &Totals) -> Option<f64> {
        match *statistic {
            Statistic::Avg => Some(all.avg()),
            Statistic::Count => Some(all.count() as f64),
            Statistic::Delta => self.rates.delta,
            Statistic::Ema { .. } => {
                let length_ms = self.window.length_ms();
                let half_life_ms = half_life_ms(statistic, length_ms)?;
                let at = self.needs.half_lives_ms.binary_search(&half_life_ms).ok()?;
                Some(self.emas.get(at)?.value() / self.series as f64)
            }
            Statistic::First => Some(all.first()),
            Statistic::Increase => self.rates.increase,
            Statistic::Last => Some(all.last()),
            Statistic::Max => Some(all.max()),
            Statistic::Min => Some(all.min()),
            Statistic::NearestRank { .. } | Statistic::Quantile { .. } => {
                let (q, method) = quantile(statistic)?;
                Some(match &self.sketch {
                    Some(sketch) => sketch.quantile(q, method),
                    None => {
                        Place::of(q, all.count(), method).value(|rank| self.selection.value(rank))
                    }
                })
            }
            Statistic::Rate => self.rates.rate,
            Statistic::Sma => Some(self.averages.value() / self.series as f64),
            Statistic::StdDev => self.moments.stddev(),
            Statistic::StdVar => self.moments.stdvar(),
            Statistic::Sum => Some(all.sum()),
        }
    }
}
