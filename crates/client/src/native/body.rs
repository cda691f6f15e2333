//! Gathers a response body under a limit, undoing gzip without trusting it.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use tidegate_core::FetchError;

/// How large a decoded body may be: 64 MiB, as much as all cached answers, and more than any page
/// or autoscaler can use.
pub const BODY_BYTES_MAX: u64 = 64 << 20;

/// How many times its size a gzip body may inflate to: metrics as JSON reach about 30; only a
/// bomb comes near deflate's limit of 1,032.
pub const INFLATION_MAX: u64 = 200;

/// What any gzip body may inflate to, whatever its ratio: so little harms nobody.
pub const INFLATION_FREE_BYTES: u64 = 1 << 20;

/// A body under way.
pub(crate) enum Body {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Body {
    /// An empty body of this `Content-Encoding`, which may be empty.
    pub(crate) fn new(encoding: &str, limit_bytes: u64) -> Result<Self, FetchError> {
        let bounded = Bounded {
            bytes: Vec::new(),
            limit_bytes,
            received_bytes: None,
            breach: None,
        };
        if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
            return Ok(Self::Plain(bounded));
        }
        if encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip") {
            let bounded = Bounded {
                received_bytes: Some(0),
                ..bounded
            };
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bounded))));
        }
        Err(FetchError::Encoding {
            detail: format!("{encoding:?} was not asked for"),
        })
    }

    /// Adds what was received.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), FetchError> {
        match self {
            Self::Plain(bounded) => bounded
                .write_all(chunk)
                .map_err(|error| bounded.explain(&error)),
            Self::Gzip(decoder) => {
                decoder.get_mut().received(chunk.len());
                decoder
                    .write_all(chunk)
                    .map_err(|error| decoder.get_mut().explain(&error))
            }
        }
    }

    /// The whole body, if it is whole.
    pub(crate) fn finish(self) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            // No byte at all is an empty body, whatever it is called.
            Self::Gzip(decoder) if decoder.get_ref().received_bytes == Some(0) => Ok(Vec::new()),
            Self::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
                Err(error) => Err(decoder.get_mut().explain(&error)),
            },
        }
    }
}

/// Takes bytes until a limit is passed.
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    limit_bytes: u64,
    /// How much came in, where what is written is inflated from it.
    received_bytes: Option<u64>,
    breach: Option<FetchError>,
}

impl Bounded {
    fn received(&mut self, bytes: usize) {
        self.received_bytes = self.received_bytes.map(|sum| sum + bytes as u64);
    }

    fn check(&self, size: u64) -> Result<(), FetchError> {
        if size > self.limit_bytes {
            return Err(FetchError::TooLarge {
                limit_bytes: self.limit_bytes,
            });
        }
        if let Some(received) = self.received_bytes
            && size > INFLATION_FREE_BYTES.max(received.saturating_mul(INFLATION_MAX))
        {
            let detail = format!("it inflates to more than {INFLATION_MAX} times its size");
            return Err(FetchError::Encoding { detail });
        }
        Ok(())
    }

    fn explain(&mut self, error: &io::Error) -> FetchError {
        self.breach.take().unwrap_or_else(|| FetchError::Encoding {
            detail: format!("bad gzip: {error}"),
        })
    }
}

impl Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if let Err(breach) = self.check(self.bytes.len() as u64 + chunk.len() as u64) {
            self.breach = Some(breach);
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn gather(encoding: &str, limit_bytes: u64, chunks: &[&[u8]]) -> Result<Vec<u8>, FetchError> {
        let mut body = Body::new(encoding, limit_bytes)?;
        for chunk in chunks {
            body.push(chunk)?;
        }
        body.finish()
    }

    #[test]
    fn the_limit_itself_still_fits_and_one_byte_more_does_not() {
        let packed = gzip(b"12345");
        assert_eq!(gather("", 5, &[b"123", b"45"]).unwrap(), b"12345");
        assert_eq!(gather("gzip", 5, &[&packed]).unwrap(), b"12345");
        let too_large = Err(FetchError::TooLarge { limit_bytes: 4 });
        assert_eq!(gather("identity", 4, &[b"123", b"45"]), too_large);
        assert_eq!(gather("gzip", 4, &[&packed]), too_large);
    }

    #[test]
    fn gzip_comes_in_any_pieces_and_any_number_of_members() {
        let packed = [gzip(b"one "), gzip(b"two")].concat();
        let bytes: Vec<_> = packed.chunks(1).collect();
        assert_eq!(gather("GZIP", 100, &bytes).unwrap(), b"one two");
        assert_eq!(gather("x-gzip", 100, &[&packed]).unwrap(), b"one two");
        assert_eq!(gather("gzip", 100, &[]).unwrap(), b"");
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio_long_before_the_limit() {
        let bomb = gzip(&vec![0; 16 << 20]);
        let error = gather("gzip", BODY_BYTES_MAX, &[&bomb]).unwrap_err();
        assert!(error.to_string().contains("more than 200 times"), "{error}");
        let mut body = Body::new("gzip", BODY_BYTES_MAX).unwrap();
        assert!(body.push(&bomb).is_err());
        let Body::Gzip(decoder) = &body else {
            panic!("gzip")
        };
        assert!(decoder.get_ref().bytes.len() as u64 <= INFLATION_MAX * bomb.len() as u64);
    }

    #[test]
    fn a_small_body_may_inflate_as_it_likes() {
        let packed = gzip(&vec![b'0'; INFLATION_FREE_BYTES as usize]);
        assert_eq!(
            gather("gzip", BODY_BYTES_MAX, &[&packed]).unwrap().len() as u64,
            INFLATION_FREE_BYTES
        );
    }

    #[test]
    fn broken_gzip_is_an_error_wherever_it_breaks() {
        let packed = gzip(b"some words that are long enough to be cut");
        for end in 1..packed.len() {
            let error = gather("gzip", 100, &[&packed[..end]]).unwrap_err();
            assert!(
                matches!(error, FetchError::Encoding { .. }),
                "{end}: {error}"
            );
        }
        let mut flipped = packed.clone();
        flipped[packed.len() - 6] ^= 1;
        assert!(matches!(
            gather("gzip", 100, &[&flipped]),
            Err(FetchError::Encoding { .. })
        ));
        assert!(matches!(
            gather("gzip", 100, &[b"{\"status\":"]),
            Err(FetchError::Encoding { .. })
        ));
        let trailing = [packed, b"rubbish".to_vec()].concat();
        assert!(matches!(
            gather("gzip", 100, &[&trailing]),
            Err(FetchError::Encoding { .. })
        ));
    }

    #[test]
    fn an_encoding_that_was_not_asked_for_is_an_error() {
        let error = gather("br", 100, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the response's content encoding is unusable: \"br\" was not asked for"
        );
    }
}
