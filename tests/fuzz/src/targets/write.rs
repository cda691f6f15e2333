//! Remote-write: the blocks that requests come in, and the requests.

use tidegate_series::is_stale;
use tidegate_wire::remote_write::{RequestWriter, WriteLimits, WriteRequest, decode};
use tidegate_wire::snappy::decompress;

use super::Target;

pub(super) const SNAPPY: Target = Target {
    name: "snappy",
    about: "a block beside a slow reader of blocks, and the request in it",
    run: block,
    words: &[
        "\u{5}\u{10}abcde",
        "\u{1}\u{1}",
        "\u{6}\u{4}\0",
        "\0\u{8}ab",
    ],
    bytes_max: 1_000,
};

pub(super) const TARGET: Target = Target {
    name: "write",
    about: "a remote-write request, decompressed",
    run: request,
    words: &[
        "\n\u{4}\n\u{8}__name__",
        "\u{12}\u{2}up",
        "\u{12}\u{b}\t",
        "\u{1a}\u{6}\u{8}\u{2}\u{12}\u{2}up",
        "\"\u{4}help",
        "*\u{1}s",
    ],
    bytes_max: 1_000,
};

/// What a block may hold here: more than inputs of this length can, but for what they claim.
const BLOCK_BYTES_MAX: usize = 16_000;

/// No piece of a block gives more than 64 bytes for three.
const EXPANSION_MAX: usize = 22;

fn block(bytes: &[u8]) {
    let slow = slow_decompress(bytes);
    let fast = decompress(bytes, BLOCK_BYTES_MAX);
    assert_eq!(fast.as_ref().ok(), slow.as_ref());
    match fast {
        Ok(body) => {
            assert!(
                body.capacity() <= bytes.len() * EXPANSION_MAX,
                "memory is bounded"
            );
            assert_eq!(decompress(bytes, body.len()).as_ref(), Ok(&body));
            if let Some(less) = body.len().checked_sub(1) {
                assert!(decompress(bytes, less).is_err(), "one byte past the limit");
            }
            request(&body);
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// By the rules, a byte at a time.
fn slow_decompress(block: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = block.iter().copied();
    let number = |bytes: u32, rest: &mut dyn Iterator<Item = u8>| -> Option<usize> {
        (0..bytes).try_fold(0, |number, place| {
            Some(number | usize::from(rest.next()?) << (8 * place))
        })
    };
    let mut length = 0_u64;
    for place in 0.. {
        let byte = bytes.next().filter(|_| place < 5)?;
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    let length = usize::try_from(u32::try_from(length).ok()?).ok()?;
    if length > BLOCK_BYTES_MAX {
        return None;
    }
    let mut out: Vec<u8> = Vec::new();
    while let Some(tag) = bytes.next() {
        let high = usize::from(tag >> 2);
        let (count, back) = match tag & 3 {
            0 if high < 60 => (high + 1, 0),
            0 => (number(u32::from(tag >> 2) - 59, &mut bytes)? + 1, 0),
            1 => (
                4 + (high & 7),
                usize::from(tag >> 5) << 8 | number(1, &mut bytes)?,
            ),
            2 => (high + 1, number(2, &mut bytes)?),
            _ => (high + 1, number(4, &mut bytes)?),
        };
        for _ in 0..count {
            let byte = match tag & 3 {
                0 => bytes.next()?,
                _ => *out.get(out.len().checked_sub(back).filter(|_| back > 0)?)?,
            };
            if out.len() == length {
                return None;
            }
            out.push(byte);
        }
    }
    (out.len() == length).then_some(out)
}

/// Where there is room for little.
const LITTLE: WriteLimits = WriteLimits {
    series: 2,
    samples: 3,
    families: 1,
    labels_per_series: 2,
    label_bytes: 10,
    text_bytes: 30,
};

fn request(body: &[u8]) {
    let little = decode(body, &LITTLE);
    match decode(body, &WriteLimits::default()) {
        Ok(request) => {
            let said = said(&request);
            if let Ok(little) = little {
                assert_eq!(self::said(&little), said);
            }
            let mut again = Vec::new();
            write(&request, &mut again);
            let again = decode(&again, &WriteLimits::default()).expect("what is written is read");
            assert_eq!(self::said(&again), said);
            assert_eq!(
                (again.exemplars, again.histograms),
                (0, 0),
                "they are left out"
            );
            let fields = request.exemplars + request.histograms + request.families.len();
            assert!(2 * fields <= body.len(), "each takes two bytes");
        }
        Err(error) => {
            assert!(little.is_err(), "limits refuse and never allow");
            assert!(!error.to_string().contains('\n'), "an error is one line");
        }
    }
}

fn write(request: &WriteRequest, out: &mut Vec<u8>) {
    let mut writer = RequestWriter::new(out);
    for series in request.columns.iter() {
        let samples = series.timestamps_ms().iter().zip(series.values());
        writer.series(
            series.labels(),
            samples.map(|(&at_ms, &value)| (at_ms, value)),
        );
    }
    for family in &request.families {
        writer.family(&family.name, family.kind, &family.help, &family.unit);
    }
}

/// What a request says, with the bits of its values, and whether a value ends its series.
fn said(request: &WriteRequest) -> Vec<String> {
    let series = request.columns.iter().map(|series| {
        let labels: Vec<_> = series.labels().collect();
        assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "sorted, each once");
        assert!(
            labels
                .iter()
                .all(|(name, value)| !name.is_empty() && !value.is_empty())
        );
        let values = series.values().iter();
        let values: Vec<_> = values
            .map(|value| (value.to_bits(), is_stale(*value)))
            .collect();
        format!("{labels:?} {:?} {values:?}", series.timestamps_ms())
    });
    let families = request.families.iter().map(|family| format!("{family:?}"));
    series.chain(families).collect()
}
