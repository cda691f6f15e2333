//! A driver, and surroundings without a will of their own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_executor::LocalPool;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::task::LocalSpawnExt;
use tidegate_client::{Clock, Closed, Handle, Machine, Transport, driver};
use tidegate_core::{Event, Fetch, FetchError, Instant, Now, Response, UnixMillis};

/// What the wall clock shows at the origin.
const WALL_MS: i64 = 1_700_000_000_000;

type FetchEnd = oneshot::Sender<Result<Response, FetchError>>;
type Fetches = BTreeMap<u64, (Fetch, Option<FetchEnd>)>;
type Sleeper = (Instant, oneshot::Sender<()>);

/// Fetches that end when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Net {
    fetches: Rc<RefCell<Fetches>>,
}

impl Net {
    /// Ends a fetch; gives back whether anybody still waited for it.
    pub(crate) fn end(&self, id: u64, result: Result<Response, FetchError>) -> bool {
        let end = self
            .fetches
            .borrow_mut()
            .get_mut(&id)
            .and_then(|(_, end)| end.take());
        end.expect("a fetch that has not ended")
            .send(result)
            .is_ok()
    }

    /// Whether the driver has dropped a fetch that has not ended.
    pub(crate) fn is_given_up(&self, id: u64) -> bool {
        self.fetches.borrow()[&id]
            .1
            .as_ref()
            .is_some_and(FetchEnd::is_canceled)
    }

    /// All fetches to this path so far, oldest first.
    pub(crate) fn to(&self, path: &str) -> Vec<Fetch> {
        let fetches = self.fetches.borrow();
        fetches
            .values()
            .map(|(fetch, _)| fetch)
            .filter(|fetch| fetch.request.path == path)
            .cloned()
            .collect()
    }
}

impl Transport for Net {
    fn fetch(&self, fetch: Fetch, _: Now) -> impl Future<Output = Result<Response, FetchError>> {
        let (end, ended) = oneshot::channel();
        self.fetches
            .borrow_mut()
            .insert(fetch.id.0, (fetch, Some(end)));
        ended.map(|result| result.expect("the test ends every fetch that is not given up"))
    }
}

/// A clock that moves when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Hands {
    mono: Rc<Cell<Instant>>,
    sleepers: Rc<RefCell<Vec<Sleeper>>>,
}

impl Hands {
    /// Shows `at`, and wakes whoever slept until then.
    pub(crate) fn move_to(&self, at: Instant) {
        self.mono.set(at);
        let (due, rest): (Vec<Sleeper>, _) = self
            .sleepers
            .take()
            .into_iter()
            .partition(|(until, _)| *until <= at);
        self.sleepers.replace(rest);
        for (_, sleeper) in due {
            // It may have been dropped since.
            let _ = sleeper.send(());
        }
    }
}

impl Clock for Hands {
    fn now(&self) -> Now {
        let mono = self.mono.get();
        let ms = i64::try_from(mono.as_nanos() / 1_000_000).expect("tests are short");
        Now {
            mono,
            wall: UnixMillis(WALL_MS + ms),
        }
    }

    fn sleep(&self, until: Instant) -> impl Future<Output = ()> {
        let (wake, woken) = oneshot::channel();
        self.sleepers.borrow_mut().push((until, wake));
        self.move_to(self.mono.get());
        woken.map(|_| ())
    }
}

/// A call under way.
pub(crate) type Call<R> = LocalBoxFuture<'static, Result<R, Closed>>;

/// The driver of a machine, and what came of it.
pub(crate) struct Stage<C, R> {
    pub(crate) handle: Handle<C, R>,
    pub(crate) net: Net,
    pub(crate) hands: Hands,
    pub(crate) events: Rc<RefCell<Vec<Event>>>,
    /// How the driver ended, once it has.
    pub(crate) end: Rc<RefCell<Option<Result<(), String>>>>,
    pool: LocalPool,
}

impl<C: 'static, R: 'static> Stage<C, R> {
    /// The stage after the machine's first step.
    pub(crate) fn of(machine: impl Machine<Command = C, Reply = R> + 'static) -> Self {
        let (net, hands) = (Net::default(), Hands::default());
        let events: Rc<RefCell<Vec<Event>>> = Rc::default();
        let end: Rc<RefCell<Option<_>>> = Rc::default();
        let (heard, ended) = (Rc::clone(&events), Rc::clone(&end));
        let observer = move |event| heard.borrow_mut().push(event);
        let (handle, run) = driver(machine, net.clone(), hands.clone(), observer);
        let run = run.map(move |result| {
            *ended.borrow_mut() = Some(result.map_err(|error| error.to_string()))
        });
        let pool = LocalPool::new();
        pool.spawner().spawn_local(run).expect("the pool is there");
        let mut stage = Self {
            handle,
            net,
            hands,
            events,
            end,
            pool,
        };
        stage.settle();
        stage
    }

    /// Begins a call and sends its command, unless the inbox is full; it goes on when polled.
    pub(crate) fn begin(&self, command: C) -> Call<R> {
        let handle = self.handle.clone();
        let mut call: Call<R> = Box::pin(async move { handle.call(command).await });
        assert!(
            (&mut call).now_or_never().is_none(),
            "nobody has replied yet"
        );
        call
    }

    /// Lets the driver do all that it can do now.
    pub(crate) fn settle(&mut self) {
        self.pool.run_until_stalled();
    }
}
