//! Responses given out again without the collector: for how long, under which requests, and what
//! of them changes meanwhile.
//!
//! The collector decides how long ([`Reuse`]); this is arithmetic on it. A [`RenderedStore`] keeps
//! responses in whatever form a server likes best, within a bound of bytes, by requests that are
//! equal in all that the API looks at ([`request_key`]). What comes out of it has the headers that
//! a hit in the collector would have at that moment.
//!
//! A response is rendered before it is kept, and something may have ended its reuse in between.
//! Therefore whoever hears the machine's outputs, in their order, notes the store's
//! [`generation`](RenderedStore::generation) with each response and tells it of each
//! [`Output::Forget`](crate::Output::Forget) at once: what was rendered in an earlier generation
//! is not kept. Several machines can lend to one store: each has a number, and generations of its
//! own, so that what one forgets does not keep out what another has rendered meanwhile.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_core::{Answer, Forget, Freshness, Instant};

use crate::render::hit_status;

/// How long a response may be given out again, and what its headers are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// For how long from when it was rendered, the end not included.
    pub left: Duration,
    /// How old the data was.
    pub age: Duration,
    /// Whether it grows older.
    pub ages: bool,
    /// How much longer the answer was a hit.
    pub ttl_left: Duration,
    /// The verdict on its age, which stays the same as long as it may be given out.
    pub freshness: Freshness,
    /// The answer's key, by which [`Forget::Key`] ends it.
    pub key: Arc<str>,
}

impl Reuse {
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        let reuse = answer.reuse?;
        Some(Self {
            left: reuse.left,
            age: answer.age,
            ages: reuse.ages,
            ttl_left: answer.ttl_left?,
            freshness: answer.freshness,
            key: answer.key.clone(),
        })
    }

    /// What a hit says after this time; `None` once it is over.
    pub fn after(&self, elapsed: Duration) -> Option<Aged> {
        if elapsed >= self.left {
            return None;
        }
        let age = if self.ages {
            self.age + elapsed
        } else {
            self.age
        };
        let ttl_s = self.ttl_left.saturating_sub(elapsed).as_secs();
        Some(Aged {
            cache_status: hit_status(&ttl_s.to_string(), self.freshness),
            age: format!("{}", age.as_secs()),
        })
    }
}

/// The headers of a response that is given out again which differ from those it was rendered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aged {
    /// `Cache-Status`.
    pub cache_status: String,
    /// `Age`.
    pub age: String,
}

/// What stands for all requests that get the same response: the method, the target, and of a form
/// its media type and content. `None` for requests whose response is their own: those that change
/// something, or say by `Cache-Control` how fresh it must be.
///
/// `header` gives the first header of a lowercase name. A `HEAD` is not the same as a `GET`, and a
/// body counts for `POST` alone.
pub fn request_key<'a>(
    method: &str,
    target: &str,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
) -> Option<Vec<u8>> {
    if header("cache-control").is_some() {
        return None;
    }
    let mut key = Vec::with_capacity(target.len() + 8);
    match method {
        "GET" => key.extend_from_slice(b"G "),
        "HEAD" => key.extend_from_slice(b"H "),
        "POST" => {
            // Lengths, so that no part can pass for another.
            let media = header("content-type").unwrap_or_default();
            let lengths = format!("P {} {} ", media.len(), target.len());
            key.extend_from_slice(lengths.as_bytes());
            key.extend_from_slice(media.as_bytes());
        }
        _ => return None,
    }
    key.extend_from_slice(target.as_bytes());
    if method == "POST" {
        key.extend_from_slice(body);
    }
    Some(key)
}

/// What a kept response costs beside its bytes and its request's: three places in maps.
const ENTRY_OVERHEAD_BYTES: usize = 300;

/// A response larger than this part of the store is not kept: it would drive out too many others.
const SHARE_MAX: usize = 8;

/// The time between two things that a lender forgot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    lender: usize,
    nth: u64,
}

/// Responses by request, `T` the form a server keeps them in. The invariant: their bytes are at
/// most the bound.
#[derive(Debug)]
pub struct RenderedStore<T> {
    bytes_max: usize,
    bytes: usize,
    /// By lender.
    generations: Vec<u64>,
    by_request: BTreeMap<Arc<[u8]>, Kept<T>>,
    /// Which requests an answer's key has responses to.
    by_answer: BTreeMap<(Arc<str>, u64), Arc<[u8]>>,
    /// The same by when they are over.
    by_end: BTreeMap<(Instant, u64), Arc<[u8]>>,
    next: u64,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    reuse: Reuse,
    at: Instant,
    bytes: usize,
    lender: usize,
    nth: u64,
}

impl<T> Kept<T> {
    fn end(&self) -> (Instant, u64) {
        (self.at + self.reuse.left, self.nth)
    }
}

impl<T> RenderedStore<T> {
    /// An empty store of at most `bytes_max`, where 0 keeps nothing, for so many lenders.
    pub fn new(bytes_max: usize, lenders: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            generations: vec![0; lenders],
            by_request: BTreeMap::new(),
            by_answer: BTreeMap::new(),
            by_end: BTreeMap::new(),
            next: 0,
        }
    }

    /// What names the time since this lender last forgot something.
    ///
    /// # Panics
    /// There are fewer lenders.
    pub fn generation(&self, lender: usize) -> Generation {
        Generation {
            lender,
            nth: self.generations[lender],
        }
    }

    /// How many responses are kept.
    pub fn len(&self) -> usize {
        self.by_request.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_request.is_empty()
    }

    /// What they weigh.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The response to this request and what has changed of it, if one is kept and not over.
    pub fn find(&self, request: &[u8], now: Instant) -> Option<(&T, Aged)> {
        let kept = self.by_request.get(request)?;
        let aged = kept.reuse.after(now.since(kept.at))?;
        Some((&kept.value, aged))
    }

    /// Keeps a response of `bytes`, which was rendered at `at` and in this generation, in place of
    /// the request's former one; says whether it did. What is over first makes room.
    pub fn insert(
        &mut self,
        request: &[u8],
        value: T,
        bytes: usize,
        reuse: Reuse,
        at: Instant,
        generation: Generation,
    ) -> bool {
        let bytes = bytes + 3 * request.len() + reuse.key.len() + ENTRY_OVERHEAD_BYTES;
        let Generation { lender, nth } = generation;
        if nth != self.generations[lender] || bytes > self.bytes_max / SHARE_MAX {
            return false;
        }
        self.remove(request);
        // Nobody is given what is over; it only takes room.
        while let Some((&(end, _), first)) = self.by_end.first_key_value()
            && (end <= at || self.bytes + bytes > self.bytes_max)
        {
            let first = first.clone();
            self.remove(&first);
        }
        let request: Arc<[u8]> = request.into();
        let kept = Kept {
            value,
            reuse,
            at,
            bytes,
            lender,
            nth: self.next,
        };
        self.next += 1;
        self.bytes += bytes;
        self.by_end.insert(kept.end(), request.clone());
        let answer = (kept.reuse.key.clone(), kept.nth);
        self.by_answer.insert(answer, request.clone());
        self.by_request.insert(request, kept);
        true
    }

    /// Ends what this lender says is out of date, and begins a generation of its: all that it has
    /// lent, or whatever was made of a key's answer.
    ///
    /// # Panics
    /// There are fewer lenders.
    pub fn forget(&mut self, lender: usize, forget: &Forget) {
        self.generations[lender] += 1;
        let requests: Vec<_> = match forget {
            Forget::All => {
                let lent = self
                    .by_request
                    .iter()
                    .filter(|(_, kept)| kept.lender == lender);
                lent.map(|(request, _)| request.clone()).collect()
            }
            Forget::Key(key) => {
                let of_key = (key.clone(), 0)..=(key.clone(), u64::MAX);
                let requests = self.by_answer.range(of_key).map(|(_, request)| request);
                requests.cloned().collect()
            }
        };
        for request in requests {
            self.remove(&request);
        }
    }

    fn remove(&mut self, request: &[u8]) {
        if let Some(kept) = self.by_request.remove(request) {
            self.by_end.remove(&kept.end());
            self.by_answer.remove(&(kept.reuse.key, kept.nth));
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: fn(&str) -> Option<&'static str> = |_| None;

    fn reuse(key: &str, left_ms: u64) -> Reuse {
        Reuse {
            left: Duration::from_millis(left_ms),
            age: Duration::from_millis(2_500),
            ages: true,
            ttl_left: Duration::from_millis(9_500),
            freshness: Freshness::Fresh,
            key: key.into(),
        }
    }

    fn ms(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    const FIRST: Generation = Generation { lender: 0, nth: 0 };

    fn store<T>() -> RenderedStore<T> {
        RenderedStore::new(100_000, 2)
    }

    #[test]
    fn headers_age_as_a_hit_would_and_end_at_the_end() {
        let reuse = reuse("k", 5_000);
        let aged = reuse.after(Duration::from_millis(499)).unwrap();
        assert_eq!(aged.age, "2");
        assert_eq!(
            aged.cache_status,
            "tidegate; hit; ttl=9; freshness=fresh; detail=hit"
        );
        let aged = reuse.after(Duration::from_millis(501)).unwrap();
        assert_eq!(aged.age, "3");
        assert!(aged.cache_status.contains("ttl=8"), "{}", aged.cache_status);
        assert!(reuse.after(Duration::from_millis(4_999)).is_some());
        assert_eq!(reuse.after(Duration::from_secs(5)), None);
        let settled = Reuse {
            ages: false,
            ..reuse
        };
        assert_eq!(settled.after(Duration::from_secs(4)).unwrap().age, "2");
    }

    #[test]
    fn requests_share_a_key_only_if_nothing_tells_them_apart() {
        let post = |media: Option<&'static str>, target: &str, body: &[u8]| {
            let header = move |name: &str| media.filter(|_| name == "content-type");
            request_key("POST", target, header, body).unwrap()
        };
        let get = |target: &str| request_key("GET", target, NONE, b"").unwrap();
        let keys = [
            get("/a"),
            get("/a?x"),
            request_key("HEAD", "/a", NONE, b"").unwrap(),
            post(None, "/a", b""),
            post(Some("/a"), "", b""),
            post(Some(""), "/", b"a"),
            post(Some("f"), "/a", b"b"),
            post(Some("f"), "/ab", b""),
            post(Some("f/"), "a", b"b"),
        ];
        for (nth, key) in keys.iter().enumerate() {
            assert!(!keys[..nth].contains(key), "{nth}");
        }
        assert_eq!(get("/a"), request_key("GET", "/a", NONE, b"body").unwrap());
    }

    #[test]
    fn who_wants_it_fresh_or_changes_something_gets_a_response_of_its_own() {
        let picky = |name: &str| (name == "cache-control").then_some("no-cache");
        assert_eq!(request_key("GET", "/a", picky, b""), None);
        assert_eq!(request_key("DELETE", "/a", NONE, b""), None);
    }

    #[test]
    fn a_response_is_found_until_it_is_over() {
        let mut store = store::<u32>();
        assert!(store.insert(b"r", 1, 10, reuse("k", 100), ms(1_000), FIRST));
        assert_eq!(store.find(b"r", ms(1_099)).unwrap().0, &1);
        assert_eq!(store.find(b"r", ms(1_100)), None);
        assert_eq!(store.find(b"s", ms(1_000)), None);
        assert!(store.insert(b"r", 2, 20, reuse("k", 100), ms(1_050), FIRST));
        assert_eq!(store.find(b"r", ms(1_149)).unwrap().0, &2);
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn what_was_rendered_before_something_was_forgotten_is_not_kept() {
        let mut store = store::<u32>();
        let rendered_in = store.generation(0);
        store.forget(0, &Forget::Key("another".into()));
        assert!(!store.insert(b"r", 1, 10, reuse("k", 100), ms(0), rendered_in));
        assert!(store.insert(b"r", 1, 10, reuse("k", 100), ms(0), store.generation(0)));
    }

    #[test]
    fn a_key_takes_all_its_responses_along_and_no_other_s() {
        let mut store = store::<u32>();
        for (request, key) in [(b"a", "k"), (b"b", "k"), (b"c", "k2"), (b"d", "j")] {
            assert!(store.insert(request, 1, 10, reuse(key, 100), ms(0), FIRST));
        }
        store.forget(0, &Forget::Key("k".into()));
        let left: Vec<_> = [b"a", b"b", b"c", b"d"]
            .into_iter()
            .filter(|request| store.find(*request, ms(1)).is_some())
            .collect();
        assert_eq!(left, vec![b"c", b"d"]);
        let of_another = store.generation(1);
        assert!(store.insert(b"e", 1, 10, reuse("k", 100), ms(0), of_another));
        store.forget(0, &Forget::All);
        assert_eq!(store.find(b"e", ms(1)).unwrap().0, &1, "another lender's");
        store.forget(0, &Forget::Key("k".into()));
        assert!(store.find(b"e", ms(1)).is_none(), "whoever lent it");
        assert_eq!(store.generation(1), of_another);
        store.forget(1, &Forget::All);
        assert!(store.is_empty() && store.bytes() == 0);
        assert!(store.by_end.is_empty() && store.by_answer.is_empty());
    }

    #[test]
    fn the_bound_holds_and_what_is_over_first_goes_first() {
        let mut store = RenderedStore::new(10_000, 1);
        let large = 10_000 / SHARE_MAX;
        assert!(!store.insert(b"large", 0, large, reuse("k", 100), ms(0), FIRST));
        for nth in 0..100_u8 {
            let left_ms = if nth == 50 { 10_000 } else { 1_000 };
            assert!(store.insert(
                &[nth],
                nth,
                500,
                reuse("k", left_ms),
                ms(u64::from(nth)),
                FIRST
            ));
            assert!(store.bytes() <= 10_000);
        }
        assert!(store.find(&[0], ms(100)).is_none());
        assert!(store.find(&[50], ms(100)).is_some(), "lasts longest");
        assert!(store.find(&[99], ms(100)).is_some());
        assert!(store.insert(b"late", 0, 500, reuse("k", 100), ms(5_000), FIRST));
        assert_eq!(store.len(), 2, "what was over is gone");
    }
}
