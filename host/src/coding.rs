//! Content codings: what a client takes, what is worth compressing, and doing it.

use std::io::Write;

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Smaller bodies are sent as they are: they fit one packet either way.
pub(crate) const COMPRESSED_BYTES_MIN: usize = 1_024;

/// How hard gzip tries: numbers in JSON gain little from more, and this is several times as quick.
const GZIP_LEVEL: u32 = 3;

/// How hard zstd tries: its own default.
const ZSTD_LEVEL: i32 = 3;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// Its name in `Content-Encoding`; the plain body has none.
    pub(crate) const fn word(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// The coding to use for this `Accept-Encoding` (RFC 9110, section 12.5.3): of those that the
/// client likes best, zstd before gzip before none. Who refuses all three gets the plain body.
pub(crate) fn best(accepted: &str) -> Coding {
    let quality = |word: &str| {
        let mut any = None;
        for part in accepted.split(',') {
            let mut fields = part.split(';').map(str::trim);
            let name = fields.next().unwrap_or_default();
            let weight = fields.find_map(|field| {
                field
                    .strip_prefix("q=")
                    .or_else(|| field.strip_prefix("Q="))
            });
            // What is no number is no wish.
            let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0_f32));
            if name.eq_ignore_ascii_case(word) {
                return Some(weight);
            }
            if name == "*" {
                any = Some(weight);
            }
        }
        any
    };
    let gzip = quality("gzip").or_else(|| quality("x-gzip")).unwrap_or(0.0);
    let zstd = quality("zstd").unwrap_or(0.0);
    // Not named, it is acceptable, and the last choice.
    let identity = quality("identity").filter(|_| accepted.contains("identity"));
    let identity = identity.unwrap_or(f32::MIN_POSITIVE);
    if zstd >= gzip && zstd >= identity && zstd > 0.0 {
        Coding::Zstd
    } else if gzip >= identity && gzip > 0.0 {
        Coding::Gzip
    } else {
        Coding::Identity
    }
}

/// Whether a body of this media type gets smaller.
pub(crate) fn is_compressible(media: &HeaderValue) -> bool {
    let media = media.to_str().unwrap_or_default();
    media.starts_with("text/") || media.starts_with("application/json")
}

/// The body in this coding.
pub(crate) fn compressed(body: &Bytes, coding: Coding) -> Bytes {
    let compressed = match coding {
        Coding::Identity => return body.clone(),
        Coding::Gzip => {
            let room = Vec::with_capacity(body.len() / 4);
            let mut encoder = GzEncoder::new(room, Compression::new(GZIP_LEVEL));
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        Coding::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
    };
    compressed
        .map(Bytes::from)
        .expect("memory takes all that is written")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_client_s_favourite_is_chosen_and_ours_among_equals() {
        for (accepted, wanted) in [
            ("gzip, deflate, br, zstd", Coding::Zstd),
            ("gzip", Coding::Gzip),
            ("GZIP", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("zstd;q=0.5, gzip;q=0.8", Coding::Gzip),
            ("gzip; q=0.8 , zstd ; q=0.9", Coding::Zstd),
            ("*", Coding::Zstd),
            ("*;q=0.5, zstd;q=0", Coding::Gzip),
            ("br", Coding::Identity),
            ("", Coding::Identity),
            ("identity", Coding::Identity),
            ("identity;q=1, gzip;q=0.5", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip;q=x", Coding::Identity),
            ("*;q=0", Coding::Identity),
            ("gzip;q=0.001", Coding::Gzip),
        ] {
            assert_eq!(best(accepted), wanted, "{accepted}");
        }
    }

    #[test]
    fn what_is_compressed_comes_out_again() {
        let body = Bytes::from("[1700000000,\"1\"],".repeat(1_000));
        let gzip = compressed(&body, Coding::Gzip);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*gzip)
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, body);
        let zstd = compressed(&body, Coding::Zstd);
        assert_eq!(zstd::bulk::decompress(&zstd, body.len()).unwrap(), body);
        assert!(gzip.len() < body.len() / 4 && zstd.len() < body.len() / 4);
    }

    #[test]
    fn texts_are_compressed_and_what_is_so_already_is_not() {
        let is = |media| is_compressible(&HeaderValue::from_static(media));
        assert!(is("application/json") && is("text/plain; version=0.0.4"));
        assert!(!is("application/wasm") && !is("image/png"));
    }
}
