//! What the command lines of all binaries share.

use std::{error::Error, io, path::PathBuf, process::ExitCode};

use crate::config::{self, ConfigError, Settings, Sources};

/// Where a binary's configuration comes from.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// YAML file to load over the defaults [default: signalbox.yaml, if there].
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "SIGNALBOX_CONFIG",
        global = true
    )]
    config: Option<PathBuf>,
    /// Sets one value over the file and the environment, as in
    /// `--set server.listen=127.0.0.1:8000`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
}

impl ConfigArgs {
    /// Loads the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] of the first layer that does not fit.
    pub fn load<T: Settings>(&self) -> Result<T, ConfigError> {
        let file = self.config.clone().or_else(config::default_file);
        config::load(&Sources::of_process(file, self.set.clone()))
    }
}

/// A process's exit code: an error is shown with all its causes, one a line, on
/// standard error.
pub fn exit(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    {
        // The reader has enough, as in `... | head -1`.
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error}");
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Many errors repeat their cause in their own text.
        if !said.contains(&text) {
            eprintln!("  because {text}");
        }
        said = text;
        cause = error.source();
    }
    ExitCode::FAILURE
}
