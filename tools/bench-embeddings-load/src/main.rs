//! Measures the Embeddings service over the wire: saturated throughput beside the bare
//! engine's, latency at 80% of it, queries beside a request of 10,000 texts, and twice
//! the load that fits. The server is a process of its own; clients run here, on the same
//! cores, so the engine's and the server's tokens are also given for each second of their
//! own processor time.

#![forbid(unsafe_code)]

mod bare;
mod client;
mod load;
mod server;
mod table;
mod texts;

use std::{error::Error, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use signalbox_models::Store;

use crate::{
    bare::Bare,
    client::{Client, Ended},
    load::{Report, closed, open},
    server::Server,
    table::Findings,
};

type Failure = Box<dyn Error + Send + Sync>;

/// The part of the saturated rate at which latency is measured.
const STEADY: f64 = 0.8;
/// The part of the saturated rate that queries take beside the large request.
const QUERIES: f64 = 0.3;
/// How many times the saturated rate overload is.
const OVERLOAD: f64 = 2.0;

/// Measures the Embeddings service under load.
#[derive(Parser)]
struct Args {
    /// The release build of signalbox-embeddings.
    server: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rounds of bare engine and saturated server, in turns; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Threads of the engine and of the server; one for each core when absent.
    #[arg(long)]
    threads: Option<usize>,
    /// Where to write the figures.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<ExitCode, Failure> {
    // reqwest takes the process's provider, though nothing here is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    // One thread, so that the clients take little from the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let findings = runtime.block_on(measure(&args))?;
    findings.print();
    if let Some(path) = &args.json {
        findings.write(path)?;
        println!("\nwritten to {}", path.display());
    }
    Ok(match findings.problems().as_slice() {
        [] => ExitCode::SUCCESS,
        problems => {
            for problem in problems {
                eprintln!("load: {problem}");
            }
            ExitCode::FAILURE
        }
    })
}

async fn measure(args: &Args) -> Result<Findings, Failure> {
    let time = Duration::from_secs(args.seconds);
    let cores = std::thread::available_parallelism()?.get();
    let threads = args.threads.unwrap_or(cores);
    let model = Store::default_location()?.root().join("all-MiniLM-L6-v2");
    let bare = Bare::load(&model, threads)?;
    let server = Server::start(&args.server, Some(threads))?;
    let clients = Client::all(&server.url, args.clients).await?;
    let clients: Vec<Arc<Client>> = clients.into_iter().map(Arc::new).collect();
    let mut findings = Findings::new(threads, cores);

    closed(
        &server,
        &clients,
        texts::mixed,
        time.min(Duration::from_secs(2)),
    )
    .await?;
    let mut saturated = Vec::new();
    for round in 1..=args.rounds.max(1) {
        eprintln!(
            "round {round}: the bare engine, then {} clients ...",
            args.clients
        );
        findings.bare.push(bare.run(time)?);
        saturated.push(closed(&server, &clients, texts::mixed, time).await?);
    }
    saturated.sort_by(|a, b| a.tokens_per_second().total_cmp(&b.tokens_per_second()));
    let median = saturated.swap_remove(saturated.len() / 2);
    let rate = median.calls_per_second();
    let tokens = median.tokens_per_second();
    findings.saturated = median;

    eprintln!("80% of {rate:.0} calls a second ...");
    findings.steady = open(&server, &clients, texts::mixed, STEADY * rate, time).await?;

    let per_query = tokens_per_query(&server, &clients).await?;
    let queries = QUERIES * tokens / per_query;
    eprintln!("{queries:.0} queries a second, then beside 10,000 texts ...");
    findings.queries_alone = open(&server, &clients, texts::query, queries, time).await?;
    let large = Large::start(&server).await?;
    findings.queries_beside = open(&server, &clients, texts::query, queries, time).await?;
    findings.large = large.end().await?;
    findings.resident_mib = server.resident_mib()?;

    eprintln!("{OVERLOAD} times the load that fits ...");
    findings.overload = open(&server, &clients, texts::mixed, OVERLOAD * rate, time).await?;
    Ok(findings)
}

/// Tokens of a query on average.
async fn tokens_per_query(server: &Server, clients: &[Arc<Client>]) -> Result<f64, Failure> {
    let few = closed(server, &clients[..1], texts::query, Duration::from_secs(1)).await?;
    match few.answered {
        0 => Err(format!("no query was answered: {:?}", few.failures).into()),
        answered => Ok(few.tokens as f64 / answered as f64),
    }
}

/// The request of 10,000 texts, on its way.
struct Large {
    begun: std::time::Instant,
    call: tokio::task::JoinHandle<(Ended, Duration)>,
}

impl Large {
    async fn start(server: &Server) -> Result<Self, Failure> {
        let client = Client::grpc(&server.url).await?;
        let texts = texts::large(&mut texts::Random::new(10_000));
        let begun = std::time::Instant::now();
        let call = tokio::spawn(async move {
            let ended = client.embed(texts).await;
            (ended, begun.elapsed())
        });
        // It is under way before the first query.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Self { begun, call })
    }

    async fn end(self) -> Result<table::LargeCall, Failure> {
        let overlapped = !self.call.is_finished();
        let queries_s = self.begun.elapsed().as_secs_f64();
        let (ended, elapsed) = self.call.await?;
        match ended {
            Ended::Answered { tokens, texts } => Ok(table::LargeCall {
                texts,
                tokens,
                seconds: elapsed.as_secs_f64(),
                // Queries that came after its end say nothing.
                overlapped: overlapped || elapsed.as_secs_f64() >= 0.9 * queries_s,
            }),
            other => Err(format!("the large request ended with {other:?}").into()),
        }
    }
}

/// Whether a load went as it should: nothing failed.
fn failed(name: &str, report: &Report) -> Option<String> {
    let first = report.failures.first()?;
    Some(format!(
        "{name}: {} calls failed, such as: {first}",
        report.failures.len()
    ))
}
