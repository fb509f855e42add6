//! How far a long piece of work has come: a bar where standard error is a terminal, a line now and
//! then where it isn't.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error; if nobody can read that, there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Follows work of a known number of steps.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
}

/// Between two lines, where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    /// Work of `total` steps that has just begun.
    pub fn new(total: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let template = "{bar:24} {pos}/{len}, about {eta} left: {msg}";
            let style = ProgressStyle::with_template(template)
                .expect("the template is a constant")
                .progress_chars("##-");
            ProgressBar::new(total).with_style(style)
        });
        let now = Instant::now();
        Self {
            bar,
            total,
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
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if self.last_line.elapsed() >= LINE_EVERY && self.done < self.total {
            self.last_line = Instant::now();
            let spent = self.started.elapsed().as_secs_f64();
            let left = spent / self.done as f64 * (self.total - self.done) as f64;
            say(&format!(
                "{} of {} done, {spent:.0} s spent, about {left:.0} s left",
                self.done, self.total
            ));
        }
    }

    /// Says something that is to stay.
    pub fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
