//! `signalbox up`: the whole platform on one port.

use std::{error::Error, time::Instant};

use signalbox_chassis::{cli::ConfigArgs, run::Process};
use signalbox_models::{Manifest, PullOptions, Status, Store, on_stderr};
use signalbox_proto::FILE_DESCRIPTOR_SET;

use crate::{Outcome, banner::banner, platform::Services, settings::Settings};

/// Serve Router, Embeddings and Guardrails on one port, with models of this
/// machine. Missing model files are pulled first.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  signalbox up\n  signalbox up --listen 0.0.0.0:8000 --config signalbox.yaml\n  signalbox up --set router.guardrails.prompt=off"
)]
pub(crate) struct Args {
    /// The address to listen on; the same as `--set server.listen=ADDRESS`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
}

pub(crate) async fn run(config: &ConfigArgs, args: Args) -> Outcome {
    let begun = Instant::now();
    let mut settings: Settings = config.load()?;
    if let Some(address) = args.listen {
        settings.server.listen = address;
    }
    let process = Process {
        name: "signalbox",
        descriptors: FILE_DESCRIPTOR_SET,
        server: settings.server.clone(),
        telemetry: settings.telemetry.clone(),
    };
    let mut running = None;
    let services = async |server| {
        let store = settings.store()?;
        if settings.models.pull {
            pull_missing(&store, &settings).await?;
        }
        let services = Services::build(&settings, store.root()).await?;
        running = Some((services.router(), services.jobs()));
        Ok(services.add_to(server, settings.server.limits.max_request_bytes))
    };
    process
        .run(services, |bound| banner(&bound.url(), begun.elapsed()))
        .await?;
    if let Some((router, jobs)) = running {
        jobs.close().await;
        router.close().await;
    }
    Ok(())
}

async fn pull_missing(
    store: &Store,
    settings: &Settings,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let manifest = Manifest::builtin();
    for name in settings.model_names() {
        // A model that the manifest does not know is the user's own file, which its
        // provider looks for itself.
        let Ok(model) = manifest.get(&name) else {
            continue;
        };
        if store.status(model) != Status::Present {
            store
                .pull(model, &PullOptions::from_env(), on_stderr().as_ref())
                .await?;
        }
    }
    Ok(())
}
