//! Content codings of request bodies, undone without trusting them.

use std::fmt;
use std::io::Read;

use axum::http::header::{CONTENT_ENCODING, HeaderMap};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tidegate_client::native::{INFLATION_FREE_BYTES, INFLATION_MAX};
use tidegate_wire::snappy::{self, SnappyError};

/// How large a body may be once decoded: 16 MiB, a batch of 100,000 samples with long labels.
pub(crate) const DECODED_BYTES_MAX: usize = 16 << 20;

/// What is taken, as `Accept-Encoding` says it.
pub(crate) const TAKEN: &str = "gzip, snappy";

/// How a request's body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestCoding {
    Identity,
    Gzip,
    /// One block, as remote-write has it.
    Snappy,
}

impl RequestCoding {
    /// What these headers say.
    ///
    /// # Errors
    /// A coding that is not taken, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, DecodingError> {
        let mut values = headers.get_all(CONTENT_ENCODING).into_iter();
        let Some(value) = values.next() else {
            return Ok(Self::Identity);
        };
        let coding = value.to_str().unwrap_or_default().trim();
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        match values.next() {
            None if is("identity") || value.is_empty() => Ok(Self::Identity),
            None if is("gzip") || is("x-gzip") => Ok(Self::Gzip),
            None if is("snappy") => Ok(Self::Snappy),
            _ => Err(DecodingError::Unknown),
        }
    }

    /// The body as it was before it was coded.
    ///
    /// # Errors
    /// It is broken or cut off, or more than [`DECODED_BYTES_MAX`] or many times its size.
    pub(crate) fn decoded(self, body: &Bytes) -> Result<Bytes, DecodingError> {
        match self {
            Self::Identity => Ok(body.clone()),
            Self::Gzip => gunzip(body).map(Bytes::from),
            Self::Snappy => match snappy::decompress(body, DECODED_BYTES_MAX) {
                Ok(decoded) => Ok(decoded.into()),
                Err(SnappyError::TooLarge { .. }) => Err(DecodingError::TooLarge),
                Err(error) => Err(DecodingError::Broken(error.to_string())),
            },
        }
    }
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>, DecodingError> {
    let inflated_max = (body.len() as u64).saturating_mul(INFLATION_MAX);
    let by_ratio = inflated_max.max(INFLATION_FREE_BYTES);
    let bytes_max = by_ratio.min(DECODED_BYTES_MAX as u64);
    let mut decoded = Vec::new();
    // One byte more tells what fits from what does not.
    let mut decoder = MultiGzDecoder::new(body).take(bytes_max + 1);
    if let Err(error) = decoder.read_to_end(&mut decoded) {
        return Err(DecodingError::Broken(format!("bad gzip: {error}")));
    }
    match decoded.len() as u64 > bytes_max {
        false => Ok(decoded),
        true if by_ratio < DECODED_BYTES_MAX as u64 => Err(DecodingError::Inflates),
        true => Err(DecodingError::TooLarge),
    }
}

/// Why a body is not decoded; whoever sent it is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecodingError {
    /// A coding that is not taken, or several.
    Unknown,
    TooLarge,
    Inflates,
    Broken(String),
}

impl fmt::Display for DecodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(
                f,
                "the request body's content encoding is not taken; one of {TAKEN} is, or none"
            ),
            Self::TooLarge => write!(
                f,
                "the request body is larger than {DECODED_BYTES_MAX} bytes once decoded"
            ),
            Self::Inflates => write!(
                f,
                "the request body inflates to more than {INFLATION_MAX} times its size"
            ),
            Self::Broken(why) => write!(f, "the request body cannot be decoded: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap().into()
    }

    fn coding(values: &[&'static str]) -> Result<RequestCoding, DecodingError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        RequestCoding::of(&headers)
    }

    #[test]
    fn a_body_has_one_coding_or_none() {
        for (values, wanted) in [
            (&[][..], RequestCoding::Identity),
            (&[""], RequestCoding::Identity),
            (&["identity"], RequestCoding::Identity),
            (&["GZIP"], RequestCoding::Gzip),
            (&["x-gzip"], RequestCoding::Gzip),
            (&[" snappy "], RequestCoding::Snappy),
        ] {
            assert_eq!(coding(values), Ok(wanted), "{values:?}");
        }
        for values in [&["br"][..], &["gzip, gzip"], &["gzip", "snappy"], &["zstd"]] {
            assert_eq!(coding(values), Err(DecodingError::Unknown), "{values:?}");
        }
    }

    #[test]
    fn bodies_come_out_as_they_went_in() {
        let plain = Bytes::from("a_total{x=\"y\"} 1\n".repeat(10_000));
        let packed = [&*gzip(&plain[..99]), &*gzip(&plain[99..])].concat();
        assert_eq!(
            RequestCoding::Gzip.decoded(&packed.into()),
            Ok(plain.clone())
        );
        assert_eq!(RequestCoding::Identity.decoded(&plain), Ok(plain));
        let block = Bytes::from_static(b"\x0a\x08abc\x0d\x03");
        let decoded = RequestCoding::Snappy.decoded(&block).unwrap();
        assert_eq!(decoded, "abcabcabca");
    }

    #[test]
    fn what_inflates_too_far_is_stopped_by_its_ratio_or_its_size() {
        let bomb = gzip(&vec![0; DECODED_BYTES_MAX]);
        let error = RequestCoding::Gzip.decoded(&bomb).unwrap_err();
        assert_eq!(error, DecodingError::Inflates);
        let free = vec![b'0'; INFLATION_FREE_BYTES as usize];
        let decoded = RequestCoding::Gzip.decoded(&gzip(&free)).unwrap();
        assert_eq!(decoded.len(), free.len());
        // So varied that its ratio is harmless.
        let varied = |bytes: usize| {
            let mut state = 1_u64;
            let bytes = (0..bytes).map(|nth| {
                if nth % 32 == 0 {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                }
                (state >> 56) as u8
            });
            gzip(&bytes.collect::<Vec<u8>>())
        };
        let fits = RequestCoding::Gzip.decoded(&varied(DECODED_BYTES_MAX));
        assert_eq!(fits.unwrap().len(), DECODED_BYTES_MAX);
        let larger = RequestCoding::Gzip.decoded(&varied(DECODED_BYTES_MAX + 1));
        assert_eq!(larger, Err(DecodingError::TooLarge));
        // A length of 16 MiB + 1, and nothing else.
        let huge = Bytes::from_static(b"\x81\x80\x80\x08");
        let error = RequestCoding::Snappy.decoded(&huge).unwrap_err();
        assert_eq!(error, DecodingError::TooLarge);
    }

    #[test]
    fn what_is_broken_or_cut_off_is_refused() {
        let packed = gzip(b"some words that are long enough to be cut");
        for end in 1..packed.len() {
            let error = RequestCoding::Gzip
                .decoded(&packed.slice(..end))
                .unwrap_err();
            assert!(matches!(error, DecodingError::Broken(_)), "{end}");
        }
        let snappy = RequestCoding::Snappy.decoded(&Bytes::from_static(b"\x0a\x08ab"));
        let error = snappy.unwrap_err().to_string();
        assert!(
            error.starts_with("the request body cannot be decoded: "),
            "{error}"
        );
    }
}
