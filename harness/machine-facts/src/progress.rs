//! How far a long piece of work has come: a bar where standard error is a terminal, a line now and
//! then where it isn't.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error; if that can't be written, no reader is left to be told.
pub fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Follows work of a known number of steps, or of a known longest time.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    measure: Measure,
    done: u64,
    started: Instant,
    last_line: Instant,
}

/// What it is known by how far the work has come.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Steps(u64),
    Time(Duration),
}

/// A terminal of fewer columns has no room for a bar and what stands beside it.
const NARROW: u16 = 60;

/// The width of the terminal on standard error.
fn columns() -> Option<u16> {
    let mut size = std::mem::MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the pointer is valid for the structure that the call fills in.
    let result = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr()) };
    // SAFETY: zeroes are a valid value, and so is what the call wrote.
    let size = unsafe { size.assume_init() };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col)
}

/// Between two lines, where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    /// Work of `total` steps that has just begun.
    pub fn new(total: u64) -> Self {
        let template = "{bar:24} {pos}/{len}, about {eta} left: {wide_msg}";
        Self::following(Measure::Steps(total), total, template)
    }

    /// Work that has just begun and takes so long at most.
    pub fn until(limit: Duration) -> Self {
        let template = "{bar:24} {pos} s of at most {len} s: {wide_msg}";
        Self::following(Measure::Time(limit), limit.as_secs(), template)
    }

    fn following(measure: Measure, length: u64, template: &str) -> Self {
        let bar = stderr().is_terminal().then(|| {
            // On a narrow terminal without the bar itself, so that nothing is broken into lines.
            let narrow = columns().is_some_and(|columns| columns < NARROW);
            let template = if narrow {
                "{pos}/{len} {wide_msg}"
            } else {
                template
            };
            let style = ProgressStyle::with_template(template)
                .expect("the template is a constant")
                .progress_chars("##-");
            ProgressBar::new(length).with_style(style)
        });
        let now = Instant::now();
        Self {
            bar,
            measure,
            done: 0,
            started: now,
            last_line: now,
        }
    }

    /// Says what comes next. Drawn now, and not again before the next call: nothing is drawn while
    /// something is being measured.
    pub fn step_begins(&mut self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
            bar.tick();
        }
    }

    /// Counts a step.
    pub fn step_ended(&mut self) {
        self.done += 1;
        let spent = self.started.elapsed();
        if let Some(bar) = &self.bar {
            match self.measure {
                Measure::Steps(_) => bar.inc(1),
                Measure::Time(_) => bar.set_position(spent.as_secs()),
            }
        } else if self.last_line.elapsed() >= LINE_EVERY {
            let (done, spent) = (self.done, spent.as_secs_f64());
            let line = match self.measure {
                Measure::Steps(total) if done < total => {
                    let left = spent / done as f64 * (total - done) as f64;
                    format!("{done} of {total} done, {spent:.0} s spent, about {left:.0} s left")
                }
                Measure::Steps(_) => return,
                Measure::Time(limit) => {
                    let limit = limit.as_secs();
                    format!("{done} cells done, {spent:.0} s spent of at most {limit} s")
                }
            };
            self.last_line = Instant::now();
            say(&line);
        }
    }

    /// Says something that is to stay.
    pub fn line(&self, line: &str) {
        self.aside(|| say(line));
    }

    /// Prints something that is to stay, with the bar out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
