//! `faultaround doctor`: whether this machine is fit to be measured on.

use std::time::Duration;

use clap::Args;
use machine_facts::clock::Clock;
use machine_facts::doctor::{
    self, Finding, examine, is_fit, judge_noise, judge_step, judge_transfers,
};
use machine_facts::environment::Environment;
use machine_facts::noise::{self, Floor, NoiseError};
use machine_facts::transfer;
use serde::Serialize;

use super::failure::{Failure, cancel_on_signals};
use super::options::Printed;
use super::output::{self, Format};
use super::rounds::topology;
use super::values;

/// The options of `faultaround doctor`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// CPUs that are to be measured on, such as 0-3,8 [default: those of the affinity]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    cpus: Option<String>,

    /// How long these CPUs are watched for gaps, all at the same time, and for as long again how
    /// fast a cache line goes between them; 0s: not at all
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = values::watch,
          allow_hyphen_values = true)]
    watch: Duration,

    #[command(flatten)]
    printed: Printed,
}

/// All that was found, for programs.
#[derive(Debug, Serialize)]
struct Examination<'a> {
    /// The verdict, and the exit status.
    fit: bool,
    /// What it comes from.
    findings: &'a [Finding],
    /// The noise floor of each CPU; empty without a watch.
    noise: &'a [Floor],
    /// The facts, as every `run.json` has them.
    environment: &'a Environment,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    let topology = topology(options.cpus.as_deref())?;
    let environment = Environment::capture(&topology);
    let mut findings = examine(&environment);
    let (clock, cpus) = (Clock::new(), topology.ids());
    findings.push(judge_step(&clock.step()));
    let mut floors = Vec::new();
    if !options.watch.is_zero() {
        let watched = noise::watch(&cpus, &clock, options.watch, &cancel);
        let looks = transfer::looks(&cpus, &clock, options.watch, &cancel);
        if cancel.is_requested() {
            return Err(Failure::Interrupted);
        }
        floors = watched.map_err(broken)?.floors;
        findings.push(judge_transfers(&cpus, &looks));
        findings.push(judge_noise(&floors));
    }
    let fit = is_fit(&findings);
    let text = match options.printed.format {
        Format::Text => doctor::text(&findings),
        Format::Tsv => doctor::tsv(&findings),
        Format::Json => {
            let examination = Examination {
                fit,
                findings: &findings,
                noise: &floors,
                environment: &environment,
            };
            output::json(&examination)?
        }
    };
    output::print(&text)?;
    if fit { Ok(()) } else { Err(Failure::Unfit) }
}

fn broken(error: NoiseError) -> Failure {
    match error {
        NoiseError::Pin(error) => Failure::usage(error),
        error => Failure::broke(error),
    }
}
