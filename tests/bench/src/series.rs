//! Series in memory: bytes, decoding and appending, beside pco; and what is asked of them.

use std::hint::black_box;

use anyhow::{Result, ensure};
use pco::standalone::{simple_compress, simple_decompress_into};
use pco::{ChunkConfig, PagingSpec};
use tidegate_series::{
    Chunk, Labels, Ring, Store, StoreLimits, TimesPool, decode_values, encode_values,
};

use crate::clock::{contest, used};
use crate::generated::{Kind, POINTS, time_ms, values};
use crate::table::{Table, Target};
use crate::windows;

const SERIES: usize = 1_000;

/// What a chunk holds, ours and pco's.
const CHUNK: usize = 512;

/// pco's default, at which it is compared.
const LEVEL: usize = 8;

/// Samples after which a store has been through its worst moment: full, and as many not sealed as can be.
const MOST: usize = POINTS + 2 * CHUNK;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let all: Vec<_> = (0..SERIES).map(|series| values(series, POINTS)).collect();
    let theirs = all
        .iter()
        .map(|values| pco(values))
        .collect::<Result<Vec<_>>>()?;
    let ours: Vec<Vec<_>> = all
        .iter()
        .map(|values| values.chunks(CHUNK).map(encode_values).collect())
        .collect();
    bytes(table, &all, &theirs, &ours)?;
    decoding(table, &all, &theirs, &ours)?;
    appending(table, &all);
    let store = whole(table);
    windows::measure(table, &store)
}

fn pco<T: pco::data_types::Number>(numbers: &[T]) -> Result<Vec<u8>> {
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_paging_spec(PagingSpec::EqualPagesUpTo(CHUNK));
    Ok(simple_compress(numbers, &config)?)
}

type Ours = Vec<Vec<Box<[u8]>>>;

fn bytes(table: &mut Table, all: &[Vec<f64>], theirs: &[Vec<u8>], ours: &Ours) -> Result<()> {
    table.heading(
        "bytes per sample, 1,000 series of 5,760 samples, beside pco 1.1 at level 8, chunks of 512",
    );
    let kinds = [
        ("values: counters with restarts (40 %)", Some(Kind::Counter)),
        ("values: gauges of two decimals (30 %)", Some(Kind::Gauge)),
        (
            "values: integers, mostly constant (20 %)",
            Some(Kind::Integer),
        ),
        ("values: noise (10 %)", Some(Kind::Noise)),
        ("values: all", None),
    ];
    for (what, kind) in kinds {
        let chosen = |series: &usize| kind.is_none_or(|kind| kind == Kind::of(*series));
        let chosen: Vec<_> = (0..SERIES).filter(chosen).collect();
        let samples = (chosen.len() * POINTS) as f64;
        let own = chosen.iter().flat_map(|&series| &ours[series]);
        let own = own.map(|bytes| bytes.len()).sum::<usize>() as f64 / samples;
        let pco = chosen
            .iter()
            .map(|&series| theirs[series].len())
            .sum::<usize>() as f64
            / samples;
        let value = format!("{own:.3} B");
        table.row(
            what,
            &value,
            Some((own / pco, &format!("× pco's {pco:.3} B"))),
            Target::None,
        );
    }
    let times_ms: Vec<_> = (0..POINTS).map(time_ms).collect();
    let times = pco(&times_ms)?.len() * SERIES;
    let pco =
        (theirs.iter().map(Vec::len).sum::<usize>() + times) as f64 / (SERIES * POINTS) as f64;
    let whole = POINTS / CHUNK * CHUNK;
    let mut pool = TimesPool::default();
    let chunks = |values: &Vec<f64>| -> usize {
        let chunk = |(times_ms, values): (&[i64], &[f64])| {
            Chunk::sharing(times_ms, values, &mut pool).byte_size()
        };
        let columns = times_ms[..whole]
            .chunks(CHUNK)
            .zip(values[..whole].chunks(CHUNK));
        columns.map(chunk).sum()
    };
    let own = all.iter().map(chunks).sum::<usize>() as f64 / (SERIES * whole) as f64;
    let value = format!("{own:.3} B");
    let judged = (own / pco, &*format!("× pco's {pco:.3} B"));
    table.row(
        "with times and summaries (pco's: with times)",
        &value,
        Some(judged),
        Target::AtMost(1.0),
    );
    Ok(())
}

fn decoding(table: &mut Table, all: &[Vec<f64>], theirs: &[Vec<u8>], ours: &Ours) -> Result<()> {
    let mut numbers = vec![0.0; POINTS];
    let mut decoded = Vec::with_capacity(POINTS);
    for ((values, theirs), ours) in all.iter().zip(theirs).zip(ours) {
        simple_decompress_into(theirs, &mut numbers)?;
        decoded.clear();
        for chunk in ours {
            decode_values(chunk, &mut decoded)?;
        }
        ensure!(
            numbers == *values && decoded == *values,
            "both gave the values back"
        );
    }
    let samples = (SERIES * POINTS) as u32;
    let [pco, own] = contest(
        samples,
        [
            &mut || {
                for bytes in theirs {
                    let progress = simple_decompress_into(bytes, &mut numbers);
                    black_box(progress.is_ok());
                }
            },
            &mut || {
                for chunks in ours {
                    decoded.clear();
                    for chunk in chunks {
                        black_box(decode_values(chunk, &mut decoded).is_ok());
                    }
                }
            },
        ],
    );
    table.heading("decoding the values of all");
    table.row("pco", &format!("{pco:.2} ns"), None, Target::None);
    let judged = (own / pco, "× pco");
    table.row(
        "decode_values",
        &format!("{own:.2} ns"),
        Some(judged),
        Target::AtMost(0.5),
    );
    Ok(())
}

fn appending(table: &mut Table, all: &[Vec<f64>]) {
    // As they come: all series' samples of one time side by side.
    let scrapes = (0..POINTS).flat_map(|sample| all.iter().map(move |values| values[sample]));
    let scrapes: Vec<_> = scrapes.collect();
    let [apart, scraped] = contest(
        (SERIES * POINTS) as u32,
        [
            &mut || {
                let mut pool = TimesPool::default();
                for values in all {
                    let mut ring = Ring::default();
                    for (sample, &value) in values.iter().enumerate() {
                        black_box(ring.push_sharing(time_ms(sample), value, &mut pool).is_ok());
                    }
                    black_box(ring.len());
                }
            },
            &mut || {
                let mut pool = TimesPool::default();
                let mut rings = vec![Ring::default(); SERIES];
                for (sample, scrape) in scrapes.chunks(SERIES).enumerate() {
                    for (ring, &value) in rings.iter_mut().zip(scrape) {
                        let pushed = ring.push_sharing(time_ms(sample), value, &mut pool);
                        black_box(pushed.is_ok());
                    }
                }
            },
        ],
    );
    table.heading("appending a sample to a ring, sealing and compression included");
    let judged = Some((apart, "ns"));
    table.row(
        "one series after the other",
        &format!("{apart:.1} ns"),
        judged,
        Target::AtMost(10.0),
    );
    table.row(
        "one scrape of all after the other",
        &format!("{scraped:.1} ns"),
        None,
        Target::None,
    );
}

/// Gives back the store of 1,000 series of 24 h.
fn whole(table: &mut Table) -> Store {
    table.heading("a whole store: labels, index, times, summaries and what is not yet sealed");
    let row = |table: &mut Table, series: usize, most_mb| {
        let what = format!("{series} series of 24 h");
        let Filled { store, .. } = filled(series, POINTS);
        let mb = store.byte_size() as f64 / 1e6;
        let judged = Some((mb, "MB"));
        table.row(
            &what,
            &format!("{mb:.2} MB"),
            judged,
            Target::AtMost(most_mb),
        );
        store
    };
    row(table, 15, 1.0);
    let day = row(table, SERIES, 12.0);
    let Filled { bytes_most, ns, .. } = filled(SERIES, MOST);
    let mb = bytes_most as f64 / 1e6;
    table.row(
        "1,000 series, at their most",
        &format!("{mb:.2} MB"),
        Some((mb, "MB")),
        Target::AtMost(12.0),
    );
    table.row(
        "Store::append by labels, per sample",
        &format!("{ns:.0} ns"),
        None,
        Target::None,
    );
    day
}

/// A store, what it took at most, and what a sample took, in nanoseconds.
struct Filled {
    store: Store,
    bytes_most: usize,
    ns: f64,
}

/// A store with so many series, scraped so many times.
fn filled(series: usize, samples: usize) -> Filled {
    let labels = |series: usize| {
        let (name, pod) = (
            format!("metric_{:02}_total", series % 50),
            format!("pod-{series:04}"),
        );
        let pairs = [
            ("__name__", &*name),
            ("namespace", "default"),
            ("pod", &pod),
        ];
        Labels::from_pairs(pairs).expect("valid labels")
    };
    let all: Vec<_> = (0..series)
        .map(|series| (labels(series), values(series, samples)))
        .collect();
    let mut store = Store::new(StoreLimits::default());
    let mut bytes_most = 0;
    let before = used();
    for sample in 0..samples {
        for (labels, values) in &all {
            let appended = store.append(labels, time_ms(sample), values[sample]);
            appended.expect("in order, and within the limits");
        }
        bytes_most = bytes_most.max(store.byte_size());
    }
    let ns = (used() - before).as_nanos() as f64 / (series * samples) as f64;
    Filled {
        store,
        bytes_most,
        ns,
    }
}
