//! Remote-write as other programs have it: the messages as `prost` reads and writes them.

use proptest::prelude::*;
use prost::Message;
use tidegate_wire::FamilyKind;
use tidegate_wire::remote_write::{RequestWriter, WriteError, WriteLimits, WriteRequest, decode};

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Metadata>,
    #[prost(fixed32, tag = "99")]
    unheard_of: u32,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(uint64, tag = "3")]
    unheard_of: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(fixed64, tag = "7")]
    unheard_of: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
    #[prost(bytes = "vec", tag = "6")]
    unheard_of: Vec<u8>,
}

const KINDS: [FamilyKind; 8] = [
    FamilyKind::Unknown,
    FamilyKind::Counter,
    FamilyKind::Gauge,
    FamilyKind::Histogram,
    FamilyKind::GaugeHistogram,
    FamilyKind::Summary,
    FamilyKind::Info,
    FamilyKind::StateSet,
];

fn ours(body: &[u8]) -> Result<WriteRequest, WriteError> {
    decode(body, &WriteLimits::default())
}

fn some_label() -> impl Strategy<Value = Label> {
    ("[ab_é]{1,3}", "\\PC{0,3}", 0_u64..3).prop_map(|(name, value, unheard_of)| Label {
        name,
        value,
        unheard_of,
    })
}

fn some_sample() -> impl Strategy<Value = Sample> {
    (any::<u64>(), any::<i64>(), 0_u64..3).prop_map(|(bits, timestamp, unheard_of)| Sample {
        value: f64::from_bits(bits),
        timestamp,
        unheard_of,
    })
}

fn some_series() -> impl Strategy<Value = TimeSeries> {
    let samples = || prop::collection::vec(some_sample(), 0..3);
    let labels = prop::collection::vec(some_label(), 0..5);
    (labels, samples(), samples(), samples()).prop_map(
        |(labels, samples, exemplars, histograms)| TimeSeries {
            labels,
            samples,
            exemplars,
            histograms,
        },
    )
}

fn some_request() -> impl Strategy<Value = Request> {
    let metadata = (-2_i32..20, "\\PC{0,3}", "\\PC{0,3}", "[a-z]{0,3}").prop_map(
        |(kind, family, help, unit)| Metadata {
            kind,
            family,
            help,
            unit,
            unheard_of: vec![1, 2],
        },
    );
    let metadata = prop::collection::vec(metadata, 0..4);
    let timeseries = prop::collection::vec(some_series(), 0..5);
    (timeseries, metadata, 0_u32..3).prop_map(|(timeseries, metadata, unheard_of)| Request {
        timeseries,
        metadata,
        unheard_of,
    })
}

/// Whether some series has a label twice.
fn has_twins(request: &Request) -> bool {
    request.timeseries.iter().any(|series| {
        let mut names: Vec<_> = series.labels.iter().map(|label| &label.name).collect();
        names.sort();
        names.windows(2).any(|two| two[0] == two[1])
    })
}

/// Series by labels as they should come out, and samples by their bits.
type Plain = Vec<(Vec<(String, String)>, Vec<(i64, u64)>)>;

fn plain(request: &Request) -> Plain {
    let series = request.timeseries.iter().map(|series| {
        let labels = series.labels.iter();
        let mut labels: Vec<_> = labels
            .filter(|label| !label.value.is_empty())
            .map(|label| (label.name.clone(), label.value.clone()))
            .collect();
        labels.sort();
        let samples = series.samples.iter();
        let samples = samples.map(|sample| (sample.timestamp, sample.value.to_bits()));
        (labels, samples.collect())
    });
    series.collect()
}

fn plain_ours(request: &WriteRequest) -> Plain {
    let series = request.columns.iter().map(|series| {
        let labels = series.labels();
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let samples = series.timestamps_ms().iter().zip(series.values());
        let samples = samples.map(|(timestamp_ms, value)| (*timestamp_ms, value.to_bits()));
        (labels.collect(), samples.collect())
    });
    series.collect()
}

/// `prost` leaves a negative zero out, as it does the other.
fn as_prost_sends(mut plain: Plain) -> Plain {
    for (_, bits) in plain.iter_mut().flat_map(|(_, samples)| samples) {
        if *bits == (-0.0_f64).to_bits() {
            *bits = 0;
        }
    }
    plain
}

proptest! {
    #[test]
    fn what_others_write_is_read(request in some_request()) {
        let found = ours(&request.encode_to_vec());
        if has_twins(&request) {
            let refused = matches!(found, Err(WriteError::DuplicateLabel { .. }));
            prop_assert!(refused);
            return Ok(());
        }
        let found = found.unwrap();
        prop_assert_eq!(plain_ours(&found), as_prost_sends(plain(&request)));
        let left_out = |count: fn(&TimeSeries) -> usize| -> usize {
            request.timeseries.iter().map(count).sum()
        };
        prop_assert_eq!(found.exemplars, left_out(|series| series.exemplars.len()));
        prop_assert_eq!(found.histograms, left_out(|series| series.histograms.len()));
        prop_assert_eq!(found.families.len(), request.metadata.len());
        for (ours, theirs) in found.families.iter().zip(&request.metadata) {
            let kind = usize::try_from(theirs.kind).ok();
            let kind = kind.and_then(|kind| KINDS.get(kind).copied()).unwrap_or_default();
            prop_assert_eq!(ours.kind, kind);
            let texts = (&ours.name, &ours.help, &ours.unit);
            prop_assert_eq!(texts, (&theirs.family, &theirs.help, &theirs.unit));
        }
    }

    #[test]
    fn what_is_written_others_read(request in some_request()) {
        let mut body = Vec::new();
        let mut writer = RequestWriter::new(&mut body);
        for series in &request.timeseries {
            let labels = series.labels.iter();
            let labels = labels.map(|label| (&*label.name, &*label.value));
            let samples = series.samples.iter();
            writer.series(labels, samples.map(|sample| (sample.timestamp, sample.value)));
        }
        for metadata in &request.metadata {
            let kind = KINDS[usize::try_from(metadata.kind).unwrap_or_default() % KINDS.len()];
            writer.family(&metadata.family, kind, &metadata.help, &metadata.unit);
        }
        let read = Request::decode(&*body).unwrap();
        prop_assert_eq!(plain(&read), plain(&request));
        for (read, sent) in read.metadata.iter().zip(&request.metadata) {
            let kind = usize::try_from(sent.kind).unwrap_or_default() % KINDS.len();
            prop_assert_eq!(usize::try_from(read.kind), Ok(kind));
            prop_assert_eq!((&read.family, &read.help, &read.unit), (&sent.family, &sent.help, &sent.unit));
        }
    }

    #[test]
    fn broken_requests_are_refused_where_others_refuse_them(
        request in some_request(),
        at: prop::sample::Index,
        byte: u8,
        cut: bool,
    ) {
        let mut body = request.encode_to_vec();
        prop_assume!(!body.is_empty());
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        let (found, expected) = (ours(&body), Request::decode(&*body));
        // They read groups; we have rules for labels.
        if let (Ok(_), Err(error)) = (&found, &expected) {
            // What nobody knows is passed over here, and still has to be text there.
            let error = error.to_string();
            prop_assert!(error.contains("exemplars") || error.contains("histograms") || error.contains("unheard_of"), "{}", error);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(prop_oneof![0_u8..20, any::<u8>()], 0..200)) {
        let _ = ours(&body);
    }
}

fn label(name: &str, value: &str) -> Label {
    let (name, value) = (name.to_owned(), value.to_owned());
    Label {
        name,
        value,
        ..Label::default()
    }
}

fn one_series(labels: Vec<Label>) -> Vec<u8> {
    let series = TimeSeries {
        labels,
        samples: vec![Sample::default()],
        ..TimeSeries::default()
    };
    let timeseries = vec![series];
    let request = Request {
        timeseries,
        ..Request::default()
    };
    request.encode_to_vec()
}

#[test]
fn an_empty_body_is_an_empty_request() {
    assert_eq!(ours(b""), Ok(WriteRequest::default()));
}

#[test]
fn zeros_and_the_stale_marker_keep_their_bits() {
    let values = [0.0, -0.0, f64::from_bits(0x7ff0_0000_0000_0002), f64::NAN];
    let mut body = Vec::new();
    let samples = (0..).zip(values);
    RequestWriter::new(&mut body).series([("a", "b")], samples);
    let found = ours(&body).unwrap();
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(found.columns.values()), bits(&values));
    assert_eq!(found.columns.timestamps_ms(), [0, 1, 2, 3]);
}

#[test]
fn a_label_without_a_name_is_refused_and_one_without_a_value_is_none() {
    let refused = ours(&one_series(vec![label("", "x")]));
    assert!(matches!(refused, Err(WriteError::EmptyLabelName { .. })));
    let found = ours(&one_series(vec![label("b", ""), label("a", "x")])).unwrap();
    let labels: Vec<_> = found.columns.series(0).labels().collect();
    assert_eq!(labels, [("a", "x")]);
}

#[test]
fn a_label_twice_is_refused_even_if_one_is_empty() {
    let body = one_series(vec![label("a", "x"), label("b", "y"), label("a", "")]);
    let refused = ours(&body).unwrap_err();
    let expected = format!(
        "label \"a\" comes twice in the series that ends at byte {} of the request",
        body.len()
    );
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn text_that_is_not_utf_8_is_refused_where_it_is() {
    let mut body = one_series(vec![label("ab", "x")]);
    let at = body.windows(2).position(|two| two == b"ab").unwrap() + 1;
    body[at] = 0xff;
    assert_eq!(ours(&body), Err(WriteError::BadUtf8 { position: at }));
}

#[test]
fn each_limit_is_accepted_and_one_more_is_not() {
    let two = Request {
        timeseries: vec![
            TimeSeries {
                labels: vec![label("a", "x"), label("b", "yz")],
                samples: vec![Sample::default(); 2],
                ..TimeSeries::default()
            };
            2
        ],
        metadata: vec![Metadata::default(); 2],
        unheard_of: 0,
    };
    let body = two.encode_to_vec();
    let exact = WriteLimits {
        series: 2,
        samples: 4,
        families: 2,
        labels_per_series: 2,
        label_bytes: 2,
        text_bytes: 5,
    };
    assert!(decode(&body, &exact).is_ok());
    let tighter: [fn(&mut WriteLimits); 6] = [
        |limits| limits.series -= 1,
        |limits| limits.samples -= 1,
        |limits| limits.families -= 1,
        |limits| limits.labels_per_series -= 1,
        |limits| limits.label_bytes -= 1,
        |limits| limits.text_bytes -= 1,
    ];
    for tighten in tighter {
        let mut limits = exact.clone();
        tighten(&mut limits);
        let refused = decode(&body, &limits);
        assert!(
            matches!(refused, Err(WriteError::TooLarge { .. })),
            "{limits:?}"
        );
    }
}
