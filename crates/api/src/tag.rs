//! Entity tags: what a body is called, and whether whoever asks has it already (RFC 9110, 8.8.3
//! and 13.1.2).

use alloc::format;
use alloc::string::String;

use xxhash_rust::xxh3::xxh3_128;

use crate::HttpResponse;

/// The weak tag of a body: equal bodies have equal tags in every process, whatever content coding
/// they travel in. Of 128 bits, so that no two bodies that anybody meets share one.
pub(crate) fn entity_tag(body: &[u8]) -> String {
    format!("W/\"{:032x}\"", xxh3_128(body))
}

/// Whether this `If-None-Match` has the tag, weak or strong.
pub fn has_tag(if_none_match: &str, tag: &str) -> bool {
    let opaque = |tag| str::trim_start_matches(tag, "W/");
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|candidate| candidate == "*" || opaque(candidate) == opaque(tag))
}

/// What of a response is left to say to somebody who has its body already.
pub(crate) fn unless_known(response: HttpResponse, if_none_match: &str) -> HttpResponse {
    let tag = response.headers.iter().find(|(name, _)| *name == "etag");
    let known = tag.is_some_and(|(_, tag)| has_tag(if_none_match, tag));
    if !known || response.status != 200 {
        return response;
    }
    let mut headers = response.headers;
    headers.retain(|(name, _)| *name != "content-type");
    HttpResponse {
        status: 304,
        headers,
        body: alloc::vec::Vec::new(),
        reuse: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_called_the_same_everywhere() {
        // The hash of nothing is published with XXH3.
        assert_eq!(entity_tag(b""), "W/\"99aa06d3014798d86001c324468d497f\"");
        assert_ne!(entity_tag(b"a"), entity_tag(b"b"));
    }

    #[test]
    fn tags_are_compared_weakly() {
        for known in ["W/\"a\"", "\"a\"", "*", " \"b\" , W/\"a\"", "\"b\",\"a\""] {
            assert!(has_tag(known, "W/\"a\""), "{known}");
        }
        for other in ["", "a", "\"b\"", "\"ab\"", "W/\"A\""] {
            assert!(!has_tag(other, "W/\"a\""), "{other}");
        }
    }
}
