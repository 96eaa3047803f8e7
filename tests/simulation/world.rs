//! Time, and who acts next: an executor for tasks on one thread, where a seed decides which of those that can go
//! on does, and time passes only when nobody can.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::chance::Chance;
use futures::future::BoxFuture;

/// Tasks that end together: those of a life of the process, or of the world around it.
pub(crate) type Group = u64;
/// The world around the process.
pub(crate) const OUTSIDE: Group = 0;

/// More polls than a run takes: tasks that wake each other for ever.
const POLLS_MAX: u64 = 400_000;
/// Lines of what happened that are shown with what went wrong.
const LINES_MAX: usize = 300;

/// Time and tasks. Clones share them.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Inner>>);

struct Inner {
    now: Duration,
    chance: Chance,
    tasks: BTreeMap<u64, Task>,
    ready: BTreeSet<u64>,
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
    polls: u64,
    /// The task being polled, and its group.
    at: (u64, Group),
    /// It was ended meanwhile.
    ended: bool,
    trace: u64,
    lines: Option<VecDeque<String>>,
    wrong: Option<String>,
}

struct Task {
    group: Group,
    /// Not there while it is polled.
    future: Option<BoxFuture<'static, ()>>,
}

struct TaskWaker {
    id: u64,
    world: World,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut inner = self.world.lock();
        if inner.tasks.contains_key(&self.id) {
            inner.ready.insert(self.id);
        }
    }
}

impl World {
    /// One that `seed` repeats; `told`: what happens is kept as text, too.
    pub(crate) fn new(seed: u64, told: bool) -> World {
        World(Arc::new(Mutex::new(Inner {
            now: Duration::ZERO,
            chance: Chance::new(seed, "who acts next"),
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeMap::new(),
            next: 1,
            polls: 0,
            at: (0, OUTSIDE),
            ended: false,
            trace: 0,
            lines: told.then(VecDeque::new),
            wrong: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much time has passed.
    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    /// Whose task acts.
    pub(crate) fn group(&self) -> Group {
        self.lock().at.1
    }

    /// Adds a task to `group`.
    pub(crate) fn spawn(&self, group: Group, task: impl Future<Output = ()> + Send + 'static) {
        let mut inner = self.lock();
        let id = inner.next;
        inner.next += 1;
        inner.tasks.insert(id, Task { group, future: Some(Box::pin(task)) });
        inner.ready.insert(id);
    }

    /// Ends every task of `group` where it is.
    pub(crate) fn end(&self, group: Group) {
        let mut inner = self.lock();
        let ids: Vec<u64> = inner.tasks.iter().filter(|(_, task)| task.group == group).map(|(id, _)| *id).collect();
        let ended: Vec<Option<Task>> = ids.iter().map(|id| inner.tasks.remove(id)).collect();
        inner.ready.retain(|id| !ids.contains(id));
        inner.ended |= inner.at.1 == group;
        drop(inner);
        // Not under the lock: what is dropped wakes others.
        drop(ended);
    }

    /// Returns after `time`; others act before, also when that is none.
    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        let mut inner = self.lock();
        inner.next += 1;
        Sleep { world: self.clone(), until: inner.now + time, id: inner.next, waited: false }
    }

    /// Writes down what happens: a number of it, and in words where they are to be read.
    pub(crate) fn note(&self, number: u64, what: impl FnOnce(&mut String)) {
        let mut inner = self.lock();
        inner.trace = mixed(inner.trace, number);
        let now = inner.now;
        if let Some(lines) = &mut inner.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            let mut line = format!("{:>9.3} ", now.as_secs_f64());
            what(&mut line);
            lines.push_back(line);
        }
    }

    /// Says that something went wrong; the first time counts.
    pub(crate) fn wrong(&self, what: impl Into<String>) {
        self.lock().wrong.get_or_insert(what.into());
    }

    /// What went wrong, with what happened before where that was kept.
    pub(crate) fn verdict(&self) -> Option<String> {
        let inner = self.lock();
        let mut verdict = inner.wrong.clone()?;
        for line in inner.lines.iter().flatten() {
            let _ = write!(verdict, "\n    {line}");
        }
        Some(verdict)
    }

    /// A hash of everything that happened.
    pub(crate) fn trace(&self) -> u64 {
        self.lock().trace
    }

    /// Lets one task act, or time pass. False when nobody ever will, or something went wrong.
    pub(crate) fn step(&self) -> bool {
        let mut inner = self.lock();
        if inner.wrong.is_some() {
            return false;
        }
        if inner.ready.is_empty() {
            let Some((&(until, _), _)) = inner.timers.first_key_value() else { return false };
            inner.now = inner.now.max(until);
            let later = inner.timers.split_off(&(until, u64::MAX));
            let due = std::mem::replace(&mut inner.timers, later);
            drop(inner);
            due.into_values().for_each(Waker::wake);
            return true;
        }
        let count = inner.ready.len();
        let nth = inner.chance.below(count);
        let id = *inner.ready.iter().nth(nth).expect("there are as many");
        inner.ready.remove(&id);
        let Some(task) = inner.tasks.get_mut(&id) else { return true };
        let (group, future) = (task.group, task.future.take());
        inner.at = (id, group);
        inner.ended = false;
        inner.polls += 1;
        inner.trace = mixed(inner.trace, id);
        inner.trace = mixed(inner.trace, inner.now.as_nanos() as u64);
        if inner.polls > POLLS_MAX {
            inner.wrong = Some("tasks wake each other for ever".to_owned());
            return false;
        }
        drop(inner);
        self.poll(id, future);
        true
    }

    fn poll(&self, id: u64, future: Option<BoxFuture<'static, ()>>) {
        let Some(mut future) = future else { return };
        let waker = Waker::from(Arc::new(TaskWaker { id, world: self.clone() }));
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        let mut inner = self.lock();
        inner.at = (0, OUTSIDE);
        let over = match polled {
            Ok(Poll::Pending) => inner.ended,
            Ok(Poll::Ready(())) => true,
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
                inner.wrong.get_or_insert(format!("a panic: {}", said.unwrap_or_default()));
                true
            }
        };
        if over {
            inner.tasks.remove(&id);
            inner.ready.remove(&id);
            drop(inner);
            drop(future);
        } else if let Some(task) = inner.tasks.get_mut(&id) {
            task.future = Some(future);
        }
    }

    /// Lets go of every task.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut self.lock().tasks);
        drop(tasks);
        let timers = std::mem::take(&mut self.lock().timers);
        drop(timers);
    }
}

/// What was before and what came, as one number.
fn mixed(before: u64, came: u64) -> u64 {
    (before.rotate_left(5) ^ came).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Some time.
pub(crate) struct Sleep {
    world: World,
    until: Duration,
    id: u64,
    waited: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.world.lock();
        if inner.now < self.until {
            inner.timers.insert((self.until, self.id), context.waker().clone());
        }
        let over = inner.now >= self.until;
        drop(inner);
        if std::mem::replace(&mut self.waited, true) && over {
            return Poll::Ready(());
        }
        if over {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let timer = self.world.lock().timers.remove(&(self.until, self.id));
        drop(timer);
    }
}
