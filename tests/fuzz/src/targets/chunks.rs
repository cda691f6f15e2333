//! Columns of values and times, and rings of them.

use tidegate_series::{
    Chunk, ENCODED_VALUES_MAX, Ring, Summary, TimesPool, decode_times, decode_values, encode_times,
    encode_values, is_stale, stale_marker,
};

use super::Target;
use super::script::Script;

pub(super) const VALUES: Target = Target {
    name: "values",
    about: "encoded values, and bytes as values to encode",
    run: values,
    words: &[],
    bytes_max: 6_000,
};

pub(super) const TIMES: Target = Target {
    name: "times",
    about: "encoded times, and bytes as times to encode",
    run: times,
    words: &[],
    bytes_max: 6_000,
};

pub(super) const RING: Target = Target {
    name: "ring",
    about: "a ring beside a list, told what to append by bytes",
    run: ring,
    words: &[
        "\0\u{1}",
        "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
    ],
    bytes_max: 3_000,
};

/// What a few bytes may ask for at most, each of them: a block of 512 takes five.
const VALUES_PER_BYTE_MAX: usize = 512;

fn values(bytes: &[u8]) {
    let mut values = vec![7.0];
    match decode_values(bytes, &mut values) {
        Ok(count) => {
            assert!(count <= ENCODED_VALUES_MAX && values.len() == count + 1);
            values_come_back(&values);
        }
        Err(error) => assert!(values.len() == 1 && !error.to_string().is_empty()),
    }
    assert!(values.capacity() <= 16 + bytes.len() * VALUES_PER_BYTE_MAX);
    let words = bytes.as_chunks().0.iter();
    let own: Vec<_> = words.map(|&word| f64::from_le_bytes(word)).collect();
    values_come_back(&own);
    // The same bytes as decimals and as counters, which is what most values are.
    let steps = bytes.iter().map(|&byte| f64::from(byte));
    values_come_back(&steps.clone().map(|step| step / 100.0).collect::<Vec<_>>());
    let sums = steps.scan(0.0, |sum, step| {
        *sum = if step == 255.0 { 0.0 } else { *sum + step };
        Some(*sum)
    });
    values_come_back(&sums.collect::<Vec<_>>());
}

fn values_come_back(values: &[f64]) {
    let encoded = encode_values(values);
    let mut back = Vec::new();
    assert_eq!(decode_values(&encoded, &mut back), Ok(values.len()));
    assert!(same(values, &back));
}

fn same(a: &[f64], b: &[f64]) -> bool {
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    bits(a) == bits(b)
}

fn times(bytes: &[u8]) {
    let mut times_ms = vec![7];
    match decode_times(bytes, &mut times_ms) {
        Ok(count) => {
            assert!(count <= ENCODED_VALUES_MAX && times_ms.len() == count + 1);
            times_come_back(&times_ms);
        }
        Err(_) => assert_eq!(times_ms, [7]),
    }
    assert!(times_ms.capacity() <= 16 + bytes.len() * VALUES_PER_BYTE_MAX);
    let words = bytes.as_chunks().0.iter();
    times_come_back(
        &words
            .map(|&word| i64::from_le_bytes(word))
            .collect::<Vec<_>>(),
    );
    let regular = bytes.iter().scan(0, |time_ms, &byte| {
        *time_ms += if byte < 200 { 15_000 } else { i64::from(byte) };
        Some(*time_ms)
    });
    times_come_back(&regular.collect::<Vec<_>>());
}

fn times_come_back(times_ms: &[i64]) {
    let encoded = encode_times(times_ms);
    let mut back = Vec::new();
    assert_eq!(decode_times(&encoded, &mut back), Ok(times_ms.len()));
    assert!(times_ms == back);
}

/// Appends, looks and drops, as the bytes say; after each a list must say the same.
fn ring(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let limit = script.pick(&[1, 3, 511, 512, 513, 700, 1_100, 5_760]);
    let (mut ring, mut pool) = (Ring::new(limit), TimesPool::default());
    let mut list: Vec<(i64, f64)> = Vec::new();
    let (mut t_ms, mut value) = (0_i64, 0.0);
    while !script.is_over() {
        let act = script.byte();
        match act % 8 {
            // A run of steady points, so that a few bytes fill chunks.
            0 => {
                let step_ms = i64::from(script.byte());
                for _ in 0..2 * u32::from(script.byte()) {
                    t_ms = t_ms.saturating_add(step_ms);
                    push(&mut ring, &mut pool, &mut list, limit, (t_ms, value));
                    value += 0.25;
                }
            }
            1 => value = f64::from_bits(script.word()),
            2 => value = script.pick(&[0.0, -0.0, f64::NAN, stale_marker(), f64::INFINITY]),
            3 => t_ms = script.word() as i64,
            _ => {
                t_ms = t_ms.saturating_add(i64::from(act / 8));
                push(&mut ring, &mut pool, &mut list, limit, (t_ms, value));
            }
        }
        assert_eq!(ring.len(), list.len());
    }
    looks_the_same(&ring, &list, t_ms);
    sealed_comes_back(&list);
}

fn push(
    ring: &mut Ring,
    pool: &mut TimesPool,
    list: &mut Vec<(i64, f64)>,
    limit: usize,
    (t_ms, value): (i64, f64),
) {
    let taken = ring.push_sharing(t_ms, value, pool).is_ok();
    match list.last() {
        Some(&(newest_ms, newest)) if t_ms <= newest_ms => {
            assert_eq!(
                taken,
                t_ms == newest_ms && newest.to_bits() == value.to_bits()
            );
        }
        _ => {
            assert!(taken);
            list.push((t_ms, value));
            if list.len() > limit {
                list.remove(0);
            }
        }
    }
}

fn looks_the_same(ring: &Ring, list: &[(i64, f64)], t_ms: i64) {
    let bits = |points: &mut dyn Iterator<Item = (i64, f64)>| -> Vec<(i64, u64)> {
        points.map(|(t, value)| (t, value.to_bits())).collect()
    };
    let mut listed = list.iter().copied();
    assert_eq!(bits(&mut ring.points()), bits(&mut listed));
    for from_ms in [i64::MIN, t_ms.saturating_sub(5_000), 0] {
        for to_ms in [t_ms, t_ms.saturating_sub(700), i64::MAX] {
            let inside = |&(t, value): &(i64, f64)| from_ms < t && t <= to_ms && !is_stale(value);
            let mut window = list.iter().copied().filter(inside);
            assert_eq!(bits(&mut ring.window(from_ms, to_ms)), bits(&mut window));
        }
    }
    assert_eq!(
        bits(&mut ring.newest().into_iter()),
        bits(&mut list.last().copied().into_iter())
    );
}

fn sealed_comes_back(list: &[(i64, f64)]) {
    let (times_ms, values): (Vec<_>, Vec<_>) = list.iter().take(512).copied().unzip();
    if values.is_empty() {
        return;
    }
    let chunk = Chunk::new(&times_ms, &values);
    let (mut times_back, mut values_back) = (Vec::new(), Vec::new());
    chunk.decode_into(&mut times_back, &mut values_back);
    assert!(times_back == times_ms && same(&values, &values_back));
    let live: Vec<_> = values
        .into_iter()
        .filter(|&value| !is_stale(value))
        .collect();
    let summary = Summary::of(&live);
    assert_eq!(format!("{summary:?}"), format!("{:?}", chunk.summary()));
    assert_eq!(summary.count, live.len());
}
