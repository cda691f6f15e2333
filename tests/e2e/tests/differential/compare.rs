//! Whether two answers are the same, and where they part.

use tidegate_e2e::Answer;

/// How much is shown around the first difference, in bytes.
const SHOWN: usize = 160;

/// Where `got` is not `expected`; nothing if it is, the order of vectors aside unless it is
/// promised.
pub(crate) fn difference(expected: &Answer, got: &Answer, ordered: bool) -> Option<String> {
    if expected.status != got.status {
        return Some(format!(
            "status {} instead of {}: {}",
            got.status,
            expected.status,
            start_of(&got.body)
        ));
    }
    for name in ["content-type"] {
        if expected.header(name) != got.header(name) {
            return Some(format!(
                "{name} {:?} instead of {:?}",
                got.header(name),
                expected.header(name)
            ));
        }
    }
    // Which of several offenders an error names is up to the order of a hash map.
    if expected.status == 422 && both_name_duplicates(expected, got) {
        return None;
    }
    let sorted = |body: &[u8]| {
        if ordered { body.to_vec() } else { sorted(body) }
    };
    first_difference(&sorted(&expected.body), &sorted(&got.body))
}

fn both_name_duplicates(expected: &Answer, got: &Answer) -> bool {
    [expected, got].iter().all(|answer| {
        let text = answer.text();
        text.contains("found duplicate series for the match group")
            || text.contains("multiple matches for labels")
    })
}

/// The first bytes that differ, and what stands around them.
fn first_difference(expected: &[u8], got: &[u8]) -> Option<String> {
    if expected == got {
        return None;
    }
    let at = expected
        .iter()
        .zip(got)
        .position(|(one, other)| one != other)
        .unwrap_or_else(|| expected.len().min(got.len()));
    let around = |body: &[u8]| {
        let from = at.saturating_sub(SHOWN / 2);
        let to = (at + SHOWN / 2).min(body.len());
        String::from_utf8_lossy(&body[from.min(to)..to]).into_owned()
    };
    Some(format!(
        "at byte {at} of {} and {}\n      expected …{}…\n      got      …{}…",
        expected.len(),
        got.len(),
        around(expected),
        around(got)
    ))
}

fn start_of(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned()
}

/// The body with the elements of a vector in the order of their bytes; any other body as it is.
fn sorted(body: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = br#"{"status":"success","data":{"resultType":"vector","result":["#;
    let Some(rest) = body.strip_prefix(HEAD) else {
        return body.to_vec();
    };
    let (mut elements, tail) = elements(rest);
    elements.sort_unstable();
    [HEAD, &elements.join(&b','), tail].concat()
}

/// The elements of an array whose bracket was read, and what follows them.
fn elements(text: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut elements, mut depth, mut quoted, mut escaped, mut from) =
        (Vec::new(), 0_u32, false, false, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b']' if depth == 0 => {
                if at > from {
                    elements.push(&text[from..at]);
                }
                return (elements, &text[at..]);
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                elements.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    (elements, &[])
}

#[test]
fn only_the_order_of_a_vector_is_forgiven() {
    let body = |result: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#)
    };
    let one = r#"{"metric":{"a":"],\"{"},"value":[1,"2"]}"#;
    let two = r#"{"metric":{"a":"b"},"value":[1,"2"]}"#;
    let both = body(&format!("{one},{two}"));
    assert_eq!(
        sorted(both.as_bytes()),
        sorted(body(&format!("{two},{one}")).as_bytes())
    );
    assert_ne!(sorted(both.as_bytes()), sorted(body(one).as_bytes()));
    let matrix = both.replace("vector", "matrix");
    assert_eq!(sorted(matrix.as_bytes()), matrix.as_bytes());
}
