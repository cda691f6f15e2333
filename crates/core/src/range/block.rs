//! What a source said about a run of points, for all series at once. Timestamps are not kept: the
//! grid has them.
//!
//! A block is made from one response that passed [`Reading::of`], and grows by blocks that adjoin.
//! While it may grow its values lie as they are; packed, as bytes of
//! [`tidegate_series::encode_values`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use tidegate_series::{decode_values, encode_values};
use tidegate_wire::{Columns, Data, QueryResponse};

use super::grid::{Grid, Run};
use super::names::{Labels, Names, order};

/// What a block costs beside what its series do: itself, reference counts, its place.
const BLOCK_OVERHEAD_BYTES: usize = 256;

/// What a series costs beside its samples: its place and that of its label set, allocations.
const TRACK_OVERHEAD_BYTES: usize = 64;

/// What it costs that a series is not there at every point, beside the spans and histograms.
const SPARSE_OVERHEAD_BYTES: usize = 64;

/// What a native histogram costs beside its text.
const HISTOGRAM_OVERHEAD_BYTES: usize = 24;

/// A response that can be cut into points and put together again without loss: a matrix without
/// warnings, whose series and labels are in Prometheus' order, each once, and whose samples are
/// in order of time and lie on the grid within the run that was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    columns: &'a Columns,
    infos: &'a [String],
    grid: Grid,
    run: Run,
}

impl<'a> Reading<'a> {
    /// Reads a response to a question about these points; `None` where it cannot be cut.
    pub(crate) fn of(response: &'a QueryResponse, grid: Grid, run: Run) -> Option<Self> {
        let Data::Matrix(columns) = &response.data else {
            return None;
        };
        let series_fit = columns.iter().all(|series| {
            let names = series.labels().map(|(name, _)| name);
            let has_samples = !series.values().is_empty() || series.histograms().len() > 0;
            has_samples
                && names.is_sorted_by(|a, b| a < b)
                && ascend(series.timestamps_ms().iter().copied(), grid, run)
                && ascend(series.histograms().map(|(at, _)| at), grid, run)
        });
        let in_order = columns
            .iter()
            .is_sorted_by(|a, b| a.labels().cmp(b.labels()) == Ordering::Less);
        let fits = response.warnings.is_empty() && series_fit && in_order;
        fits.then_some(Self {
            columns,
            infos: &response.infos,
            grid,
            run,
        })
    }

    /// The label sets of its series, all of them taken in.
    pub(crate) fn intern(&self, names: &mut Names) -> Vec<Arc<Labels>> {
        names.intern(self.columns.iter())
    }

    /// The label sets of its series, shared with those that are known.
    pub(crate) fn share(&self, names: &Names) -> Vec<Arc<Labels>> {
        names.share(self.columns.iter())
    }

    /// What it says about some of its points; `names` are its label sets.
    pub(crate) fn cut(&self, names: &[Arc<Labels>], run: Run) -> Block {
        assert!(self.run.overlap(run) == Some(run), "cut from what was read");
        let mut block = Block {
            run,
            infos: self.infos.to_vec(),
            plain_html: self.columns.plain_html(),
            series: Vec::new(),
            tracks: Vec::new(),
        };
        let (from_ms, to_ms) = (self.grid.at_ms(run.first), self.grid.at_ms(run.last));
        for (series, labels) in self.columns.iter().zip(names) {
            let times = series.timestamps_ms();
            let from = times.partition_point(|&at| at < from_ms);
            let to = times.partition_point(|&at| at <= to_ms);
            let offset = |at_ms: i64| offset(self.grid.last_until(at_ms), run);
            let mut track = Track::default();
            track.add(
                times[from..to].iter().map(|&at| offset(at)),
                &series.values()[from..to],
                run.len(),
            );
            let histograms = series.histograms();
            let inside = histograms.filter(|(at, _)| (from_ms..=to_ms).contains(at));
            track.add_histograms(inside.map(|(at, json)| (offset(at), json.into())));
            if !track.is_empty() {
                block.series.push(labels.clone());
                block.tracks.push(track);
            }
        }
        block
    }
}

/// Whether these instants are points of a run, in order, each once.
fn ascend(mut times: impl Iterator<Item = i64>, grid: Grid, run: Run) -> bool {
    let mut last = None;
    times.all(|at| {
        let point = grid.point(at).filter(|point| run.contains(*point));
        let ascends = point.is_some() && point > last;
        last = point;
        ascends
    })
}

fn offset(point: i64, run: Run) -> u16 {
    u16::try_from(point - run.first).expect("a window has fewer points")
}

/// What is known about the points of a run.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    run: Run,
    infos: Vec<String>,
    plain_html: bool,
    /// In order; each has samples.
    series: Vec<Arc<Labels>>,
    /// As many as `series`.
    tracks: Vec<Track>,
}

/// The samples of one series in a block.
#[derive(Clone, Debug, Default)]
struct Track {
    floats: Floats,
    count: u32,
    /// What series that have a float at every point do without.
    sparse: Option<Box<Sparse>>,
}

/// Where a series has floats, if not at every point, and what it has beside them.
#[derive(Clone, Debug, Default)]
struct Sparse {
    /// Runs of floats as (offset, count) from the block's first point on. Empty where there are
    /// floats at all points, or at none.
    spans: Vec<(u16, u16)>,
    /// Native histograms as the text they came in.
    histograms: Vec<(u16, Box<str>)>,
}

#[derive(Clone, Debug)]
enum Floats {
    Plain(Vec<f64>),
    Packed(Box<[u8]>),
}

impl Default for Floats {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

impl Block {
    pub(crate) const fn run(&self) -> Run {
        self.run
    }

    pub(crate) fn infos(&self) -> &[String] {
        &self.infos
    }

    pub(crate) const fn plain_html(&self) -> bool {
        self.plain_html
    }

    pub(crate) fn series(&self) -> &[Arc<Labels>] {
        &self.series
    }

    /// The floats of a series within `clip`, in order. `scratch` is overwritten.
    pub(crate) fn floats(
        &self,
        series: usize,
        clip: Run,
        scratch: &mut Vec<f64>,
        mut each: impl FnMut(i64, f64),
    ) {
        let track = &self.tracks[series];
        let values = track.floats.values(scratch);
        let mut from = 0;
        for (at, count) in track.spans(self.run) {
            let first = self.run.first + i64::from(at);
            let span = Run::new(first, first + i64::from(count) - 1);
            if let Some(inside) = span.and_then(|span| span.overlap(clip)) {
                let skipped = usize::try_from(inside.first - first).unwrap_or(0);
                let points = inside.first..=inside.last;
                let values = &values[from + skipped..];
                points
                    .zip(values)
                    .for_each(|(point, value)| each(point, *value));
            }
            from += usize::from(count);
        }
    }

    /// The native histograms of a series within `clip`, in order.
    pub(crate) fn histograms(&self, series: usize, clip: Run) -> impl Iterator<Item = (i64, &str)> {
        let all = self.tracks[series].histograms().iter();
        let all = all.map(|(at, json)| (self.run.first + i64::from(*at), &**json));
        all.filter(move |(point, _)| clip.contains(*point))
    }

    /// The same about some of its points, unpacked.
    pub(crate) fn clip(&self, clip: Run) -> Self {
        let mut clipped = Self {
            run: clip,
            infos: self.infos.clone(),
            plain_html: self.plain_html,
            series: Vec::new(),
            tracks: Vec::new(),
        };
        let (mut scratch, mut offsets, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (at, labels) in self.series.iter().enumerate() {
            offsets.clear();
            values.clear();
            self.floats(at, clip, &mut scratch, |point, value| {
                offsets.push(offset(point, clip));
                values.push(value);
            });
            let mut track = Track::default();
            track.add(offsets.iter().copied(), &values, clip.len());
            let histograms = self.histograms(at, clip);
            track
                .add_histograms(histograms.map(|(point, json)| (offset(point, clip), json.into())));
            if !track.is_empty() {
                clipped.series.push(labels.clone());
                clipped.tracks.push(track);
            }
        }
        clipped
    }

    /// Whether the infos of one are those of both.
    pub(crate) fn speaks_as(&self, other: &Self) -> bool {
        self.infos == other.infos || self.series.is_empty() || other.series.is_empty()
    }

    /// Takes in what is known about the points that follow.
    pub(crate) fn append(&mut self, next: &Self) {
        assert_eq!(next.run.first, self.run.last + 1, "blocks adjoin");
        let whole = Run {
            last: next.run.last,
            ..self.run
        };
        let known = |info: &&String| !self.infos.contains(*info);
        let infos: Vec<_> = next.infos.iter().filter(known).cloned().collect();
        self.infos.extend(infos);
        self.plain_html |= next.plain_html;
        if self.series.len() != next.series.len()
            || !self
                .series
                .iter()
                .zip(&next.series)
                .all(|(a, b)| Arc::ptr_eq(a, b))
        {
            self.admit(&next.series);
        }
        let mut others = next.series.iter().zip(&next.tracks).peekable();
        for (labels, track) in self.series.iter().zip(&mut self.tracks) {
            let is_same = |other: &(&Arc<Labels>, &Track)| order(other.0, labels).is_eq();
            let other = others.next_if(is_same).map(|(_, track)| track);
            track.extend(self.run, other, next.run, whole);
        }
        assert!(others.next().is_none(), "all series were admitted");
        self.run = whole;
    }

    /// Makes room for series that were not here so far.
    fn admit(&mut self, series: &[Arc<Labels>]) {
        let mut tracks = core::mem::take(&mut self.tracks).into_iter();
        let mut former = core::mem::take(&mut self.series).into_iter().peekable();
        let mut coming = series.iter().peekable();
        loop {
            let which = match (former.peek(), coming.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(former), Some(coming)) => order(former, coming),
            };
            let labels = match which {
                Ordering::Less => former.next(),
                Ordering::Greater => coming.next().cloned(),
                Ordering::Equal => {
                    coming.next();
                    former.next()
                }
            };
            self.series.extend(labels);
            self.tracks.push(match which {
                Ordering::Greater => Track::default(),
                Ordering::Less | Ordering::Equal => tracks.next().expect("a track per series"),
            });
        }
    }

    /// Packs its values, for it no longer grows.
    pub(crate) fn pack(&mut self) {
        for track in &mut self.tracks {
            if let Floats::Plain(values) = &track.floats {
                track.floats = Floats::Packed(encode_values(values));
            }
            if let Some(sparse) = &mut track.sparse {
                sparse.spans.shrink_to_fit();
                sparse.histograms.shrink_to_fit();
            }
        }
        self.series.shrink_to_fit();
        self.tracks.shrink_to_fit();
    }

    pub(crate) fn is_packed(&self) -> bool {
        let is_packed = |track: &Track| matches!(track.floats, Floats::Packed(_));
        self.tracks.iter().all(is_packed)
    }

    /// How many samples it holds, native histograms included.
    pub(crate) fn sample_count(&self) -> usize {
        let count = |track: &Track| track.count as usize + track.histograms().len();
        self.tracks.iter().map(count).sum()
    }

    /// What it weighs in bytes, label sets aside; the same on every target.
    pub(crate) fn byte_size(&self) -> usize {
        let infos = self.infos.iter().map(|info| 24 + info.len()).sum::<usize>();
        BLOCK_OVERHEAD_BYTES + infos + self.tracks.iter().map(Track::byte_size).sum::<usize>()
    }
}

impl Floats {
    /// The values, unpacked into `scratch` where they are packed.
    fn values<'a>(&'a self, scratch: &'a mut Vec<f64>) -> &'a [f64] {
        match self {
            Self::Plain(values) => values,
            Self::Packed(bytes) => {
                scratch.clear();
                decode_values(bytes, scratch).expect("they were encoded here");
                scratch
            }
        }
    }
}

impl Track {
    fn is_empty(&self) -> bool {
        self.count == 0 && self.histograms().is_empty()
    }

    fn histograms(&self) -> &[(u16, Box<str>)] {
        self.sparse
            .as_ref()
            .map_or(&[], |sparse| &sparse.histograms)
    }

    /// Adds histograms behind those that are there.
    fn add_histograms(&mut self, histograms: impl Iterator<Item = (u16, Box<str>)>) {
        let mut histograms = histograms.peekable();
        if histograms.peek().is_some() {
            let sparse = self.sparse.get_or_insert_default();
            sparse.histograms.extend(histograms);
        }
    }

    /// Where there are floats, as (offset, count), in a block of this run.
    fn spans(&self, run: Run) -> impl Iterator<Item = (u16, u16)> {
        let is_full = self.count as usize == run.len();
        let full = is_full.then(|| (0, u16::try_from(self.count).expect("of a window")));
        let sparse = self.sparse.iter().flat_map(|sparse| &sparse.spans);
        full.into_iter().chain(sparse.copied())
    }

    /// Adds floats behind those that are there, in a block of `len` points.
    fn add(&mut self, offsets: impl Iterator<Item = u16>, values: &[f64], len: usize) {
        let Floats::Plain(own) = &mut self.floats else {
            panic!("what is packed does not grow");
        };
        own.extend_from_slice(values);
        self.count = u32::try_from(own.len()).expect("of a window");
        if own.len() == len {
            if let Some(sparse) = &mut self.sparse {
                sparse.spans = Vec::new();
            }
            return;
        }
        for at in offsets {
            let spans = &mut self.sparse.get_or_insert_default().spans;
            match spans.last_mut() {
                Some((first, count)) if *first + *count == at => *count += 1,
                _ => spans.push((at, 1)),
            }
        }
    }

    /// Goes on with what another track says about the points that follow, if anything.
    fn extend(&mut self, own: Run, other: Option<&Self>, next: Run, whole: Run) {
        let mut unpacked = Vec::new();
        if let Floats::Packed(_) = self.floats {
            let values = self.floats.values(&mut unpacked).to_vec();
            self.floats = Floats::Plain(values);
        }
        let is_full = self.count as usize == own.len();
        if let (Floats::Plain(values), Some(other)) = (&mut self.floats, other)
            && is_full
            && other.count as usize == next.len()
        {
            let mut scratch = Vec::new();
            values.extend_from_slice(other.floats.values(&mut scratch));
            self.count += other.count;
            return;
        }
        if is_full {
            let spans = self.spans(own).collect();
            self.sparse.get_or_insert_default().spans = spans;
        }
        let shift = offset(next.first, whole);
        if let Some(other) = other {
            let spans = other.spans(next);
            let offsets = spans.flat_map(|(at, count)| (at..at + count).map(|at| at + shift));
            let mut scratch = Vec::new();
            let values = other.floats.values(&mut scratch);
            self.add(offsets, values, whole.len());
            let histograms = other.histograms().iter();
            self.add_histograms(histograms.map(|(at, json)| (at + shift, json.clone())));
        }
    }

    fn byte_size(&self) -> usize {
        let floats = match &self.floats {
            Floats::Plain(values) => 8 * values.capacity(),
            Floats::Packed(bytes) => bytes.len(),
        };
        let text = |(_, json): &(u16, Box<str>)| HISTOGRAM_OVERHEAD_BYTES + json.len();
        let sparse = self.sparse.as_ref().map_or(0, |sparse| {
            let histograms = sparse.histograms.iter().map(text).sum::<usize>();
            SPARSE_OVERHEAD_BYTES + 4 * sparse.spans.capacity() + histograms
        });
        TRACK_OVERHEAD_BYTES + floats + sparse
    }
}
