//! `make eval-match`: how much of a stock kernel's code is what the reference
//! objects say, in the shipped file and in the memory of the booted kernel.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use indicatif::ProgressBar;
use owo_colors::OwoColorize;
use resplice_target::{Cache, Target};
use resplice_tests::eval::share::{Function, Outcome, Outcomes, Share, in_file, in_memory};
use resplice_tests::eval::table::Table;
use resplice_tests::eval::workshop::{Workshop, runtime};
use resplice_tests::eval::{default_directory, memory, save, save_json, units::UNITS};
use resplice_worker::{
    kmod::Kmod,
    matching::{Matched, match_units},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What the share must reach in the file and on each CPU model, in percent.
const WANTED: f64 = 99.9;

/// Match units against a stock kernel's files and against its memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// The kernel.
    #[arg(long, env = "TARGET", default_value = resplice_tests::CLOUD)]
    target: String,
    /// QEMU's CPU models to boot it on.
    #[arg(
        long,
        env = "CPU",
        value_delimiter = ',',
        default_value = "max,EPYC,Skylake-Server-v4"
    )]
    cpu: Vec<String>,
    /// Where the results go [default: eval in the cache]
    #[arg(long, env = "OUT")]
    out: Option<PathBuf>,
    /// Source files [default: 44 across the kernel]
    #[arg(long, env = "UNITS", value_delimiter = ',')]
    units: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let out = arguments.out.clone().unwrap_or_else(default_directory);
    let target = resplice_tests::target(&arguments.target)?;
    let units: Vec<String> = if arguments.units.is_empty() {
        UNITS.map(str::to_owned).to_vec()
    } else {
        arguments.units.clone()
    };
    let start = Instant::now();
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(200));
    progress.set_message(format!(
        "compiling {} units as {} was",
        units.len(),
        target.id()
    ));
    let matched = runtime()?.block_on(async {
        let workshop = Workshop::open(&target, &out, "eval-match").await?;
        let build = workshop.build()?;
        let cache = Cache::from_env();
        let matched = match_units(&build, &units, &Kmod::embedded()?, cache.root()).await;
        matched.map_err(|error| workshop.explain(error))
    })?;
    let mut evaluation = Evaluation::new(&target, &matched);
    for cpu in &arguments.cpu {
        progress.set_message(format!(
            "matching the memory of {} on {cpu}",
            target.release()
        ));
        let reports = memory::reports(&target, cpu, &matched)?;
        save(&out, &format!("eval-match-{cpu}.txt"), &reports.concat())?;
        evaluation.add(cpu, &reports.concat());
    }
    progress.finish_and_clear();
    save_json(&out, "eval-match.json", &evaluation.json(start.elapsed()))?;
    save(&out, "eval-match.md", &evaluation.markdown())?;
    let good = evaluation.print();
    println!("\n{}", out.join("eval-match.md").display());
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// All that was found out, by place: the file, then each CPU model's memory.
struct Evaluation {
    target: String,
    digest: String,
    /// Each unit with the kernel object that it is part of.
    units: Vec<(String, String)>,
    places: Vec<(String, Outcomes)>,
}

impl Evaluation {
    fn new(target: &Target, matched: &[Matched]) -> Self {
        let file = matched.iter().flat_map(|object| in_file(&object.report));
        let units = matched.iter().flat_map(|object| {
            let of = |unit: &String| (unit.clone(), object.object.clone());
            object.units.iter().map(of)
        });
        let units: BTreeSet<(String, String)> = units.collect();
        Self {
            target: target.id().to_string(),
            digest: target.digest(),
            units: units.into_iter().collect(),
            places: vec![("file".to_owned(), file.collect())],
        }
    }

    fn add(&mut self, cpu: &str, report: &str) {
        let file = self.places.first().map(|(_, outcomes)| outcomes.clone());
        let outcomes = in_memory(&file.unwrap_or_default(), report);
        self.places.push((cpu.to_owned(), outcomes));
    }

    /// The shares of a unit, or of all of them, by place.
    fn shares(&self, unit: Option<&str>) -> Vec<Share> {
        let share = |(_, outcomes): &(String, Outcomes)| {
            let of = outcomes
                .iter()
                .filter(|(function, _)| unit.is_none_or(|unit| function.unit == unit));
            Share::of(of.map(|(_, outcome)| outcome))
        };
        self.places.iter().map(share).collect()
    }

    /// What did not match, overridden ones aside.
    fn exceptions(&self) -> impl Iterator<Item = (&str, &Function, &Outcome)> {
        self.places.iter().flat_map(|(place, outcomes)| {
            let bad = outcomes.iter().filter(|(_, outcome)| {
                !matches!(outcome, Outcome::Matched | Outcome::OverriddenWeak)
            });
            bad.map(move |(function, outcome)| (place.as_str(), function, outcome))
        })
    }

    fn is_good(&self) -> bool {
        self.shares(None)
            .iter()
            .all(|share| share.percent() >= WANTED)
    }

    fn table(&self) -> Table {
        let mut heading = vec!["unit", "object", "functions", "overridden"];
        heading.extend(self.places.iter().map(|(place, _)| place.as_str()));
        let mut table = Table::new(heading, 2);
        let mut row = |unit: &str, object: &str, shares: &[Share], percent: bool| {
            let first = shares.first().copied().unwrap_or_default();
            let mut cells = vec![unit.to_owned(), object.to_owned()];
            cells.extend([first.functions, first.overridden_weak].map(|count| count.to_string()));
            cells.extend(shares.iter().map(|share| match percent {
                true => format!("{:.2} %", share.percent()),
                false => share.matched.to_string(),
            }));
            table.row(cells);
        };
        for (unit, object) in &self.units {
            row(unit, object, &self.shares(Some(unit)), false);
        }
        let all = self.shares(None);
        row("all", "", &all, false);
        row("share of those not overridden", "", &all, true);
        table
    }

    fn exception_table(&self) -> Option<Table> {
        let mut table = Table::new(
            ["where", "unit", "section", "function", "cause", "detail"],
            6,
        );
        let mut any = false;
        for (place, function, outcome) in self.exceptions() {
            let value = serde_json::to_value(outcome).unwrap_or_default();
            let text = |name: &str| {
                value
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned()
            };
            let (unit, section, name) = (&function.unit, &function.section, &function.name);
            table.row([place, unit, section, name, &text("cause"), &text("detail")]);
            any = true;
        }
        any.then_some(table)
    }

    fn json(&self, elapsed: Duration) -> Value {
        let shares = |unit: Option<&str>| -> Vec<Value> {
            let shares = self.places.iter().zip(self.shares(unit));
            let value = |((place, _), share): (&(String, Outcomes), Share)| {
                json!({ "where": place, "functions": share.functions, "matched": share.matched,
                    "overridden_weak": share.overridden_weak, "percent": share.percent() })
            };
            shares.map(value).collect()
        };
        let units: Vec<Value> = self
            .units
            .iter()
            .map(|(unit, object)| json!({ "unit": unit, "object": object, "shares": shares(Some(unit)) }))
            .collect();
        let exceptions: Vec<Value> = self
            .exceptions()
            .map(|(place, function, outcome)| json!({ "where": place, "function": function, "outcome": outcome }))
            .collect();
        let overridden: Vec<&Function> = self
            .places
            .first()
            .into_iter()
            .flat_map(|(_, outcomes)| outcomes)
            .filter_map(|(function, outcome)| {
                (*outcome == Outcome::OverriddenWeak).then_some(function)
            })
            .collect();
        json!({
            "target": self.target, "target_digest": self.digest, "wanted_percent": WANTED,
            "passed": self.is_good(), "seconds": elapsed.as_secs_f64(), "total": shares(None),
            "units": units, "exceptions": exceptions, "overridden_weak": overridden,
        })
    }

    fn markdown(&self) -> String {
        let exceptions = self
            .exception_table()
            .map_or_else(|| "None.\n".to_owned(), |table| table.markdown());
        format!(
            "# Reference objects against {}\n\nFunctions that are byte for byte in the shipped *file*, and in the \
             memory of the booted kernel by CPU model. Weak functions that another unit overrides are set apart.\n\n\
             {}\n## Exceptions\n\n{exceptions}",
            self.target,
            self.table().markdown()
        )
    }

    /// Prints the outcome; says whether it is good enough.
    fn print(&self) -> bool {
        print!("{}", self.table().text());
        if let Some(exceptions) = self.exception_table() {
            print!("\n{}", exceptions.text());
        }
        let good = self.is_good();
        let verdict = if good {
            format!("at least {WANTED} % everywhere")
        } else {
            format!("less than {WANTED} % somewhere")
        };
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        match (colour, good) {
            (true, true) => println!("\n{}", verdict.green()),
            (true, false) => println!("\n{}", verdict.red()),
            _ => println!("\n{verdict}"),
        }
        good
    }
}
