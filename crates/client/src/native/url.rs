//! A source's address. Its credentials go to that source and nowhere else.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The base URL of a source, with an optional path in front of `/api/v1/…`, or the whole URL of a
/// target. `http` or `https`.
///
/// A user and password in it are sent as basic authorization. `Display` and `Debug` leave them
/// out.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceUrl(Url);

impl SourceUrl {
    /// The URL of a target's text: unlike a base it may have a query, as `/federate` wants one.
    ///
    /// # Errors
    /// It is no URL, of another scheme, or has a fragment.
    pub fn target(text: &str) -> Result<Self, UrlError> {
        let url = Self::of_http(text)?;
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        Ok(Self(url))
    }

    fn of_http(text: &str) -> Result<Url, UrlError> {
        let url = Url::parse(text).map_err(|error| UrlError::Malformed {
            detail: error.to_string(),
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        Ok(url)
    }

    /// Where `path`, which begins with a slash, is found below the base; `query` goes behind the
    /// question mark unless it is empty. With an empty path, the URL as it is. Has the credentials
    /// still in it.
    pub(crate) fn join(&self, path: &str, query: &str) -> Url {
        let mut url = self.0.clone();
        if path.is_empty() {
            return url;
        }
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        url
    }
}

impl FromStr for SourceUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Self::of_http(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::NotABase);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.path().trim_end_matches('/');
        write!(
            f,
            "{}://{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or_default()
        )?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}{path}"),
            None => f.write_str(path),
        }
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

/// Why a text is no source's address. The text itself is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL.
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// It is a URL of another scheme.
    Scheme {
        /// The scheme given.
        scheme: String,
    },
    /// It has a query or a fragment, which a base cannot have.
    NotABase,
    /// It has a fragment, which no server is ever sent.
    Fragment,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { detail } => {
                write!(
                    f,
                    "not a URL: {detail}; expected something like http://127.0.0.1:9090"
                )
            }
            // `prometheus:9090` reads as a URL of the scheme "prometheus".
            Self::Scheme { scheme } => {
                write!(
                    f,
                    "expected a URL that begins with http:// or https://, this one begins with {scheme}:"
                )
            }
            Self::Fragment => {
                f.write_str("a target's URL must not have a '#': remove it and what follows")
            }
            Self::NotABase => {
                f.write_str("a source's URL must end with its path: remove what follows '?' or '#'")
            }
        }
    }
}

impl Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SourceUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn the_path_of_the_base_is_kept() {
        for (base, whole) in [
            ("http://h", "http://h/api/v1/query?query=up"),
            ("http://h:9090/", "http://h:9090/api/v1/query?query=up"),
            ("https://h/prom", "https://h/prom/api/v1/query?query=up"),
            ("https://h/a/b/", "https://h/a/b/api/v1/query?query=up"),
        ] {
            assert_eq!(
                parse(base)
                    .unwrap()
                    .join("/api/v1/query", "query=up")
                    .as_str(),
                whole
            );
        }
        assert_eq!(
            parse("http://h").unwrap().join("/-/ready", "").as_str(),
            "http://h/-/ready"
        );
    }

    #[test]
    fn a_target_s_url_is_taken_as_it_is_and_its_query_not_displayed() {
        let text = "http://h/federate/?match[]=%7Bjob%3D%22a%22%7D";
        let url = SourceUrl::target(text).unwrap();
        assert_eq!(url.join("", "").as_str(), text);
        assert_eq!(url.to_string(), "http://h/federate");
        assert_eq!(SourceUrl::target("http://h/#a"), Err(UrlError::Fragment));
        assert!(SourceUrl::target("ftp://h/").is_err());
    }

    #[test]
    fn an_encoded_form_stays_as_it_is() {
        let url = parse("http://h")
            .unwrap()
            .join("/q", "query=a%2Bb+%26c%22%7B%7D");
        assert_eq!(url.query(), Some("query=a%2Bb+%26c%22%7B%7D"));
    }

    #[test]
    fn credentials_are_neither_displayed_nor_debugged() {
        let url = parse("http://user:secret@h:1/prom/").unwrap();
        assert_eq!(url.to_string(), "http://h:1/prom");
        assert_eq!(format!("{url:?}"), "SourceUrl(http://h:1/prom)");
    }

    #[test]
    fn what_is_no_base_is_refused_without_repeating_it() {
        assert!(matches!(parse("secret"), Err(UrlError::Malformed { .. })));
        assert!(matches!(parse("http://"), Err(UrlError::Malformed { .. })));
        assert!(matches!(
            parse("http://u:secret@h:99999"),
            Err(UrlError::Malformed { .. })
        ));
        assert_eq!(
            parse("prometheus:9090"),
            Err(UrlError::Scheme {
                scheme: "prometheus".into()
            })
        );
        assert_eq!(
            parse("file:///etc/secret"),
            Err(UrlError::Scheme {
                scheme: "file".into()
            })
        );
        assert_eq!(parse("http://h/?token=secret"), Err(UrlError::NotABase));
        for text in [
            "http://u:secret@h:99999",
            "ftp://u:secret@h",
            "http://u:secret@h/?a",
            "http://u:secret@[h",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
