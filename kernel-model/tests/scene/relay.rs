//! Two threads of which one runs at a time: each stops at steps that it is told, for the other.

use std::sync::{Arc, Condvar, Mutex};

use super::stepped::before;

/// A place in a thread's way: one step after the other, and the thread stops before the last.
pub(crate) type Place = &'static [&'static str];

#[derive(Debug)]
struct State {
    /// Whose turn it is.
    turn: usize,
    /// The threads that have come to the end.
    done: [bool; 2],
}

/// Whose turn it is of two threads.
#[derive(Debug)]
pub(crate) struct Relay {
    state: Mutex<State>,
    changed: Condvar,
}

impl Relay {
    pub(crate) fn starting_with(turn: usize) -> Arc<Self> {
        let done = [false; 2];
        Arc::new(Self {
            state: Mutex::new(State { turn, done }),
            changed: Condvar::new(),
        })
    }

    /// Runs one of the threads' work when it is its turn, with the places at which it gives the
    /// turn away. A place that it doesn't come by is left out, with those after it.
    pub(crate) fn run(self: Arc<Self>, me: usize, places: &'static [Place], work: impl FnOnce()) {
        self.wait_for_turn(me);
        stop_at(&self, me, places);
        work();
        let mut state = self.state.lock().expect("no thread panics with it");
        state.done[me] = true;
        state.turn = 1 - me;
        self.changed.notify_all();
    }

    fn wait_for_turn(&self, me: usize) {
        let state = self.state.lock().expect("no thread panics with it");
        let others = |state: &mut State| state.turn != me && !state.done[1 - me];
        drop(self.changed.wait_while(state, others));
    }

    fn give_turn_away(&self, me: usize) {
        self.state.lock().expect("no thread panics with it").turn = 1 - me;
        self.changed.notify_all();
        self.wait_for_turn(me);
    }
}

/// Makes the calling thread stop at these places.
fn stop_at(relay: &Arc<Relay>, me: usize, places: &'static [Place]) {
    if let [place, rest @ ..] = places {
        let relay = Arc::clone(relay);
        come_to(place, move || {
            relay.give_turn_away(me);
            stop_at(&relay, me, rest);
        });
    }
}

fn come_to(place: Place, then: impl FnOnce() + 'static) {
    match place {
        [] => {}
        [step] => before(step, then),
        [step, rest @ ..] => before(step, move || come_to(rest, then)),
    }
}
