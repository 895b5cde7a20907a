//! `signalbox doctor`: what is right, what is wrong, and how to mend it.

use std::{io::Write as _, net::TcpListener};

use signalbox_chassis::cli::ConfigArgs;
use signalbox_models::{Manifest, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Outcome, client::ServerArgs, settings::Settings};

/// Check this machine, the configuration, the models and a running server. Ends
/// with an error where something has to be mended.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  signalbox doctor\n  signalbox doctor --full   # hashes every model file"
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Hash every model file instead of looking at sizes and marks.
    #[arg(long)]
    full: bool,
}

/// What was found out.
enum Finding {
    Good(String),
    /// Nothing wrong, but worth knowing.
    Note(String),
    Bad(String),
}

pub(crate) async fn run(config: &ConfigArgs, args: Args) -> Outcome {
    let mut findings = vec![cores()];
    let settings = match config.load::<Settings>() {
        Ok(settings) => {
            findings.push(Finding::Good("the configuration is valid".to_owned()));
            settings
        }
        Err(error) => {
            findings.push(Finding::Bad(format!("{error}")));
            Settings::default()
        }
    };
    findings.extend(models(&settings, args.full).await);
    findings.extend(server(&settings, &args.server).await);
    let mut bad = 0;
    let mut out = std::io::stdout();
    for finding in &findings {
        match finding {
            Finding::Good(text) => writeln!(out, "ok    {text}")?,
            Finding::Note(text) => writeln!(out, "note  {text}")?,
            Finding::Bad(text) => {
                bad += 1;
                writeln!(out, "BAD   {text}")?;
            }
        }
    }
    match bad {
        0 => Ok(()),
        1 => Err("1 thing has to be mended".into()),
        bad => Err(format!("{bad} things have to be mended").into()),
    }
}

fn cores() -> Finding {
    match std::thread::available_parallelism() {
        Ok(cores) => Finding::Good(format!("{cores} processor cores")),
        Err(error) => Finding::Note(format!("the number of processor cores is unknown: {error}")),
    }
}

async fn models(settings: &Settings, full: bool) -> Vec<Finding> {
    let store = match settings.store() {
        Ok(store) => store,
        Err(error) => return vec![Finding::Bad(error.to_string())],
    };
    let manifest = Manifest::builtin();
    let mut findings = vec![Finding::Note(format!(
        "models are in {}",
        store.root().display()
    ))];
    for name in settings.model_names() {
        let Ok(model) = manifest.get(&name) else {
            findings.push(Finding::Note(format!(
                "{name} is not in the manifest, so its files are not checked"
            )));
            continue;
        };
        let status = if full {
            store.verify(model).await
        } else {
            Ok(store.status(model))
        };
        findings.push(match status {
            Ok(Status::Present) => Finding::Good(format!("{name} is here")),
            Ok(Status::Unchecked) => Finding::Note(format!(
                "{name} was put here by hand; `signalbox models pull` checks it"
            )),
            Ok(Status::Missing) => Finding::Bad(format!(
                "{name} is missing; run `signalbox models pull {name}`"
            )),
            Ok(Status::Corrupt) => Finding::Bad(format!(
                "{name} is damaged; run `signalbox models pull {name}`"
            )),
            Err(error) => Finding::Bad(error.to_string()),
        });
    }
    findings
}

async fn server(settings: &Settings, args: &ServerArgs) -> Vec<Finding> {
    let Ok(connection) = args.connect().await else {
        let listen = settings.server.listen;
        let port = match TcpListener::bind(listen) {
            Ok(_) => Finding::Good(format!("{listen} is free to listen on")),
            Err(error) => Finding::Bad(format!(
                "{listen} cannot be listened on: {error}; set server.listen"
            )),
        };
        return vec![
            Finding::Note(format!("no server runs at {}", args.url)),
            port,
        ];
    };
    let mut health = HealthClient::new(connection);
    let mut findings = Vec::new();
    for service in [
        "signalbox.router.v1.RouterService",
        "signalbox.embeddings.v1.EmbeddingsService",
        "signalbox.guardrails.v1.GuardrailsService",
    ] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        findings.push(match health.check(request).await {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => {
                Finding::Good(format!("{service} serves at {}", args.url))
            }
            Ok(_) => Finding::Bad(format!("{service} at {} is draining", args.url)),
            Err(status) if status.code() == tonic::Code::NotFound => {
                Finding::Note(format!("{service} is not served at {}", args.url))
            }
            Err(status) => Finding::Bad(format!("{service} at {}: {}", args.url, status.message())),
        });
    }
    findings
}
