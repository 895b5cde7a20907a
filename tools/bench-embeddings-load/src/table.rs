//! What was found: as a table, as JSON, and held to the goals.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{Failure, bare::Rate, failed, load::Report};

/// The request of 10,000 texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LargeCall {
    pub(crate) texts: usize,
    pub(crate) tokens: u64,
    pub(crate) seconds: f64,
    /// Whether it was at work for as long as the queries beside it.
    pub(crate) overlapped: bool,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    threads: usize,
    cores: usize,
    machine: String,
    pub(crate) bare: Vec<Rate>,
    pub(crate) saturated: Report,
    pub(crate) steady: Report,
    pub(crate) queries_alone: Report,
    pub(crate) queries_beside: Report,
    pub(crate) large: LargeCall,
    pub(crate) overload: Report,
    pub(crate) resident_mib: f64,
}

/// A goal, what was found, and whether that is enough.
struct Goal {
    what: &'static str,
    goal: &'static str,
    found: String,
    met: bool,
}

impl Findings {
    pub(crate) fn new(threads: usize, cores: usize) -> Self {
        Self {
            threads,
            cores,
            machine: machine(),
            ..Self::default()
        }
    }

    fn loads(&self) -> [(&'static str, &Report); 5] {
        [
            ("saturated, 64 clients", &self.saturated),
            ("80% of that", &self.steady),
            ("queries alone", &self.queries_alone),
            ("queries beside 10,000 texts", &self.queries_beside),
            ("twice the saturated rate", &self.overload),
        ]
    }

    /// The median of the bare engine's rounds.
    fn bare(&self, of: impl Fn(&Rate) -> f64) -> f64 {
        let mut all: Vec<f64> = self.bare.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn goals(&self) -> Vec<Goal> {
        let cpu = self.saturated.tokens_per_cpu_second() / self.bare(|rate| rate.per_cpu_second);
        let p99 = self.steady.latency_ms(0.99);
        let (alone, beside) = (
            self.queries_alone.latency_ms(0.99),
            self.queries_beside.latency_ms(0.99),
        );
        let goodput = self.overload.tokens_per_second() / self.saturated.tokens_per_second();
        vec![
            Goal {
                what: "server's tokens a second of its processor time, to the bare engine's",
                goal: "90%",
                found: format!("{:.0}%", cpu * 100.0),
                met: cpu >= 0.9,
            },
            Goal {
                what: "p99 at 80% of the saturated rate",
                goal: "< 500 ms",
                found: format!("{p99:.0} ms"),
                met: p99 < 500.0,
            },
            Goal {
                what: "queries' p99 beside 10,000 texts, to that without",
                goal: "<= 2",
                found: format!("{:.2}", beside / alone),
                met: beside <= 2.0 * alone && self.large.overlapped,
            },
            Goal {
                what: "goodput at twice the saturated rate, to the saturated",
                goal: "90%",
                found: format!("{:.0}%", goodput * 100.0),
                met: goodput >= 0.9,
            },
            Goal {
                what: "what did not fit was refused, with a time to come back",
                goal: "all",
                found: format!(
                    "{} refused, {} of them without a time",
                    self.overload.shed, self.overload.shed_untold
                ),
                met: self.overload.shed > 0 && self.overload.shed_untold == 0,
            },
        ]
    }

    /// What does not hold.
    pub(crate) fn problems(&self) -> Vec<String> {
        let failures = self
            .loads()
            .into_iter()
            .filter_map(|(name, report)| failed(name, report));
        let missed = self.goals().into_iter().filter(|goal| !goal.met);
        let missed = missed.map(|goal| format!("{}: {}, not {}", goal.what, goal.found, goal.goal));
        failures.chain(missed).collect()
    }

    pub(crate) fn print(&self) {
        println!("\n{}\n", self.machine);
        println!("| load | calls/s | tokens/s | tokens/CPU-s | p50 ms | p99 ms | refused |");
        println!("|---|--:|--:|--:|--:|--:|--:|");
        println!(
            "| bare engine, {} threads | | {:.0} | {:.0} | | | |",
            self.threads,
            self.bare(|rate| rate.per_second),
            self.bare(|rate| rate.per_cpu_second),
        );
        for (name, report) in self.loads() {
            println!(
                "| {name} | {:.1} | {:.0} | {:.0} | {:.1} | {:.1} | {} |",
                report.calls_per_second(),
                report.tokens_per_second(),
                report.tokens_per_cpu_second(),
                report.latency_ms(0.5),
                report.latency_ms(0.99),
                report.shed,
            );
        }
        let LargeCall {
            texts,
            tokens,
            seconds,
            ..
        } = self.large;
        println!(
            "\nThe request of {texts} texts, {tokens} tokens, took {seconds:.1} s; the server then held {:.0} MiB.\n",
            self.resident_mib
        );
        println!("| goal | wanted | found | |");
        println!("|---|---|---|---|");
        for goal in self.goals() {
            let met = if goal.met { "met" } else { "missed" };
            println!("| {} | {} | {} | {met} |", goal.what, goal.goal, goal.found);
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let loads: Vec<Value> = self
            .loads()
            .into_iter()
            .map(|(name, report)| {
                json!({
                    "load": name,
                    "calls_per_s": report.calls_per_second(),
                    "tokens_per_s": report.tokens_per_second(),
                    "tokens_per_cpu_s": report.tokens_per_cpu_second(),
                    "p50_ms": report.latency_ms(0.5),
                    "p99_ms": report.latency_ms(0.99),
                    "answered": report.answered,
                    "refused": report.shed,
                    "failed": report.failures.len(),
                })
            })
            .collect();
        let goals: Vec<Value> = self
            .goals()
            .into_iter()
            .map(|goal| json!({"what": goal.what, "goal": goal.goal, "found": goal.found, "met": goal.met}))
            .collect();
        let all = json!({
            "machine": self.machine,
            "threads": self.threads,
            "cores": self.cores,
            "bare": {
                "tokens_per_s": self.bare(|rate| rate.per_second),
                "tokens_per_cpu_s": self.bare(|rate| rate.per_cpu_second),
            },
            "loads": loads,
            "large": {
                "texts": self.large.texts,
                "tokens": self.large.tokens,
                "seconds": self.large.seconds,
            },
            "resident_mib": self.resident_mib,
            "goals": goals,
        });
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, format!("{all:#}\n"))?;
        Ok(())
    }
}

/// What the figures were measured on.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let name = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("a processor", |name| {
        name.trim_start_matches([' ', '\t', ':'])
    });
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{name}, {cores} cores; load before: {load}")
}
