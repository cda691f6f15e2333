//! Files of records: torn lines, files put aside when full, and disks that refuse.

use std::io::Read;

use proptest::prelude::*;
use tempfile::TempDir;
use tidegate_series::{Labels, MetricKind, Sample, stale_marker};

use super::*;
use crate::MetricEvent;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    (folder, path)
}

fn sample(value: f64) -> Sample {
    Sample {
        labels: Labels::from_pairs([("__name__", "a"), ("zone", "x\ny")]).unwrap(),
        timestamp_ms: 7,
        value,
    }
}

fn batch(values: &[f64]) -> Batch {
    Batch {
        samples: values.iter().map(|value| sample(*value)).collect(),
        ..Batch::default()
    }
}

fn family(name: &str) -> Family {
    Family {
        name: name.to_owned(),
        metadata: Metadata {
            kind: MetricKind::Counter,
            unit: "seconds".into(),
            help: "Twice \"said\".".into(),
        },
    }
}

fn read(path: &Path) -> Vec<ReadRecord> {
    FileRecords::open(path)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn values(path: &Path) -> Vec<f64> {
    let values = read(path).into_iter().filter_map(|record| match record {
        ReadRecord::Sample(sample) => Some(sample.value),
        ReadRecord::Family(_) | ReadRecord::Event(_) => None,
    });
    values.collect()
}

fn open(path: &Path) -> FileSink {
    FileSink::open(path, FileOptions::default()).unwrap()
}

#[test]
fn what_is_written_reads_back_in_order() {
    let (_folder, path) = folder();
    let event = MetricEvent {
        labels: sample(0.0).labels,
        kind: EventKind::Timer,
        value: 0.1 + 0.2,
        timestamp_ms: -1,
    };
    let all = Batch {
        families: vec![family("a"), family("b")],
        samples: vec![sample(1.5), sample(f64::INFINITY)],
        events: vec![event.clone()],
    };
    let mut sink = open(&path);
    sink.write(&all).unwrap();
    sink.write(&all).unwrap();
    drop(sink);
    let once = [
        ReadRecord::Sample(sample(1.5)),
        ReadRecord::Sample(sample(f64::INFINITY)),
        ReadRecord::Event(event),
    ];
    let mut expected = vec![
        ReadRecord::Family(family("a")),
        ReadRecord::Family(family("b")),
    ];
    expected.extend(once.clone());
    expected.extend(once);
    assert_eq!(read(&path), expected);
}

#[test]
fn stale_markers_and_other_nans_keep_their_bits() {
    let (_folder, path) = folder();
    let odd = [
        stale_marker(),
        f64::NAN,
        f64::from_bits(0xfff8_0000_0000_0042),
        -0.0,
    ];
    open(&path).write(&batch(&odd)).unwrap();
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&values(&path)), bits(&odd));
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(r#""value":"stale""#) && text.contains(r#""value":"NaN""#),
        "{text}"
    );
}

#[test]
fn only_what_is_asked_for_is_written() {
    let (_folder, path) = folder();
    let options = FileOptions {
        takes: Takes::Events,
        ..FileOptions::default()
    };
    let mut sink = FileSink::open(&path, options).unwrap();
    assert_eq!(sink.takes(), Takes::Events);
    sink.write(&batch(&[1.0])).unwrap();
    assert_eq!(read(&path), []);
}

#[test]
fn a_torn_last_line_is_cut_off_wherever_it_is_torn() {
    let (_folder, path) = folder();
    open(&path).write(&batch(&[1.0, 2.0])).unwrap();
    let whole = fs::read(&path).unwrap();
    let feeds = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let ends: Vec<usize> = feeds.map(|(at, _)| at + 1).collect();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut sink = open(&path);
        let lines = ends.iter().filter(|end| **end <= cut).count();
        let torn = cut - ends.iter().filter(|end| **end <= cut).max().unwrap_or(&0);
        let is_whole = ends.contains(&(cut + 1)) && cut + 1 > ends[0];
        let expected = match torn {
            0 => None,
            _ if is_whole => Some(Recovered::Completed),
            _ => Some(Recovered::Cut { bytes: torn as u64 }),
        };
        assert_eq!(sink.recovered(), expected.as_ref(), "cut at {cut}");
        sink.write(&batch(&[9.0])).unwrap();
        drop(sink);
        let kept = lines.saturating_sub(1) + usize::from(is_whole);
        let mut expected = vec![1.0, 2.0];
        expected.truncate(kept);
        expected.push(9.0);
        assert_eq!(values(&path), expected, "cut at {cut}");
    }
}

#[test]
fn what_was_mended_is_said_in_words() {
    let cut = Recovered::Cut { bytes: 3 }.to_string();
    assert_eq!(cut, "the last line was torn, 3 bytes of it were cut off");
    assert_eq!(
        Recovered::Completed.to_string(),
        "the last line lacked its end and got it"
    );
}

#[test]
fn a_reader_leaves_a_torn_last_line_out_and_says_so() {
    let (_folder, path) = folder();
    open(&path).write(&batch(&[1.0, 2.0])).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let mut records = FileRecords::open(&path).unwrap();
    assert_eq!(records.by_ref().map(Result::unwrap).count(), 1);
    assert!(records.is_torn());
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let mut records = FileRecords::open(&path).unwrap();
    assert_eq!(records.by_ref().map(Result::unwrap).count(), 2);
    assert!(!records.is_torn());
}

#[test]
fn a_reader_names_bad_lines_and_goes_on() {
    let (_folder, path) = folder();
    open(&path).write(&batch(&[1.0])).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"nonsense\n{\"value\":1}\n{\"labels\":{\"a b\":\"x\"},\"value\":1}\n")
        .unwrap();
    file.write_all(b"{\"tidegate_lines\":2}\n").unwrap();
    file.write_all(&vec![b' '; lines::LINE_BYTES_MAX * 3])
        .unwrap();
    file.write_all(b"\n{\"name\":\"b\",\"value\":2,\"timestamp_ms\":0}\n")
        .unwrap();
    let records = FileRecords::open(&path).unwrap();
    let told: Vec<String> = records
        .map(|record| match record {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "read",
            "line 3: expected `{` at byte 0 of the line",
            "line 4: it has no timestamp_ms",
            r#"line 5: label 0 has an invalid name "a b""#,
            "line 6: version 2 of the format is not known here",
            "line 7: the line has more than 524288 bytes",
            "read",
        ]
    );
}

#[test]
fn full_files_are_put_aside_and_the_oldest_go() {
    let (_folder, path) = folder();
    let options = FileOptions {
        bytes_max: 400,
        files_max: 3,
        ..FileOptions::default()
    };
    let mut sink = FileSink::open(&path, options).unwrap();
    let described = Batch {
        families: vec![family("a")],
        ..batch(&[0.0])
    };
    sink.write(&described).unwrap();
    for value in 1..20 {
        sink.write(&batch(&[f64::from(value)])).unwrap();
    }
    let files = files_of(&path);
    let names: Vec<_> = files
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["records.jsonl.2", "records.jsonl.1", "records.jsonl"]
    );
    let mut kept = Vec::new();
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 400);
        assert_eq!(
            read(file)[0],
            ReadRecord::Family(family("a")),
            "{}",
            file.display()
        );
        kept.extend(values(file));
    }
    let first = 20 - kept.len();
    let expected: Vec<f64> = (first..20).map(|value| value as f64).collect();
    assert_eq!(kept, expected);
}

#[test]
fn with_one_file_a_full_one_is_begun_anew() {
    let (_folder, path) = folder();
    let options = FileOptions {
        bytes_max: 200,
        files_max: 1,
        ..FileOptions::default()
    };
    let mut sink = FileSink::open(&path, options).unwrap();
    for value in 0..5 {
        sink.write(&batch(&[f64::from(value)])).unwrap();
    }
    assert_eq!((files_of(&path).len(), values(&path)), (1, vec![4.0]));
}

#[test]
fn a_batch_larger_than_a_file_is_written_all_the_same() {
    let (_folder, path) = folder();
    let options = FileOptions {
        bytes_max: 1,
        files_max: 2,
        ..FileOptions::default()
    };
    let mut sink = FileSink::open(&path, options).unwrap();
    sink.write(&batch(&[1.0, 2.0])).unwrap();
    sink.write(&batch(&[3.0])).unwrap();
    assert_eq!(values(&numbered(&path, 1)), [1.0, 2.0]);
    assert_eq!(values(&path), [3.0]);
}

#[test]
fn a_file_of_another_version_is_put_aside_and_one_of_something_else_is_not_touched() {
    let (_folder, path) = folder();
    fs::write(&path, "{\"tidegate_lines\":2}\n{\"what\":\"ever\"}\n").unwrap();
    open(&path).write(&batch(&[1.0])).unwrap();
    assert_eq!(values(&path), [1.0]);
    let aside = fs::read_to_string(numbered(&path, 1)).unwrap();
    assert!(aside.starts_with("{\"tidegate_lines\":2}"));
    for other in [
        "secret\n",
        "{\"value\":1,\"timestamp_ms\":1}\n",
        "no line feed anywhere",
    ] {
        fs::write(&path, other).unwrap();
        let error = FileSink::open(&path, FileOptions::default()).unwrap_err();
        let said = format!("{}: it holds something other than records", path.display());
        assert_eq!(error.to_string(), said);
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
}

#[test]
fn a_file_is_written_by_one_at_a_time() {
    let (_folder, path) = folder();
    let first = open(&path);
    let refused = FileSink::open(&path, FileOptions::default()).unwrap_err();
    let said = format!("{}: somebody else writes it", path.display());
    assert_eq!(refused.to_string(), said);
    drop(first);
    open(&path).write(&batch(&[1.0])).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let (folder, _path) = folder();
    let error = FileSink::open(folder.path(), FileOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&folder.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn a_line_that_nobody_could_read_is_dropped_alone() {
    let (_folder, path) = folder();
    let long = "\u{1}".repeat(tidegate_series::LABEL_VALUE_BYTES_MAX);
    let labels: Vec<(String, &str)> = (0..64).map(|nth| (format!("l{nth}"), &*long)).collect();
    let mut huge = sample(1.0);
    huge.labels = Labels::from_pairs(labels).unwrap();
    let mut sink = open(&path);
    let samples = vec![sample(1.0), huge, sample(2.0)];
    let error = sink
        .write(&Batch {
            samples,
            ..Batch::default()
        })
        .unwrap_err();
    assert_eq!(error.dropped, 1);
    assert!(
        error.message.ends_with("bytes is too long to be read"),
        "{error}"
    );
    assert_eq!(values(&path), [1.0, 2.0]);
}

/// `/dev/full` takes nothing, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_names_the_file_and_costs_that_batch_alone() {
    let (_folder, path) = folder();
    let mut sink = open(&path);
    sink.write(&batch(&[1.0])).unwrap();
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let disk = std::mem::replace(&mut sink.file, full);
    for _ in 0..3 {
        let described = Batch {
            families: vec![family("b")],
            ..batch(&[2.0, 3.0])
        };
        let error = sink.write(&described).unwrap_err();
        assert_eq!(error.dropped, 2);
        let said = format!("{}: ", path.display());
        assert!(error.message.starts_with(&said), "{error}");
    }
    sink.file = disk;
    sink.write(&batch(&[4.0])).unwrap();
    assert_eq!(values(&path), [1.0, 4.0]);
    assert!(
        read(&path).contains(&ReadRecord::Family(family("b"))),
        "said again"
    );
}

#[test]
fn a_piece_that_was_written_in_part_is_taken_back() {
    let (_folder, path) = folder();
    let mut sink = open(&path);
    sink.write(&batch(&[1.0])).unwrap();
    // As a call that failed half-way leaves it, where cutting failed too.
    (&sink.file).write_all(b"{\"name\":\"half").unwrap();
    sink.torn = true;
    sink.write(&batch(&[2.0])).unwrap();
    assert_eq!(values(&path), [1.0, 2.0]);
    let mut text = String::new();
    File::open(&path)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(!text.contains("half"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_file_makes_the_reader_panic_or_the_sink_lose_what_it_adds(
        lines in prop::collection::vec("[\\[{}\\]\":,a-z0-9 ]{0,20}|\\{\"value\":1,\"timestamp_ms\":1\\}", 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let (_folder, path) = folder();
        let mut text = b"{\"tidegate_lines\":1}\n".to_vec();
        text.extend(lines.join("\n").bytes());
        text.extend(tail);
        fs::write(&path, text).unwrap();
        let before = FileRecords::open(&path).unwrap().filter_map(Result::ok).count();
        let mut sink = open(&path);
        sink.write(&batch(&[5.0])).unwrap();
        drop(sink);
        let after: Vec<_> = FileRecords::open(&path).unwrap().filter_map(Result::ok).collect();
        prop_assert_eq!(after.len(), before + 1);
        prop_assert_eq!(after.last(), Some(&ReadRecord::Sample(sample(5.0))));
    }
}

#[test]
fn files_are_found_past_a_number_that_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    for name in [
        "a.jsonl",
        "a.jsonl.2",
        "a.jsonl.10",
        "a.jsonl.02",
        "a.jsonl.x",
        "b.jsonl.1",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let expected = ["a.jsonl.10", "a.jsonl.2", "a.jsonl"].map(|name| folder.path().join(name));
    assert_eq!(files_of(&path), expected);
}
