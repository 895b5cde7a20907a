//! Every configuration in the documentation is one that the service takes.

#![allow(clippy::unwrap_used)]

use std::fs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::config::{Sources, load};
use signalbox_embeddings::{EmbeddingsConfig, remote};

/// The part of a `signalbox.yaml` that is ours.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    embeddings: EmbeddingsConfig,
}

/// The YAML blocks of a document.
fn blocks(text: &str) -> Vec<&str> {
    let begun = text.split("```yaml\n").skip(1);
    begun
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn parse(yaml: &str) -> EmbeddingsConfig {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signalbox.yaml");
    fs::write(&file, yaml).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let settings: Settings = load(&sources).unwrap_or_else(|error| panic!("{yaml}\n{error}"));
    settings.embeddings
}

#[test]
fn each_example_is_a_configuration_and_its_remote_models_can_be_built() {
    let mut remote_models = 0;
    for (text, examples) in [
        (include_str!("../../../docs/embeddings.md"), 2),
        (include_str!("../../../docs/jobs.md"), 1),
    ] {
        let blocks = blocks(text);
        assert!(blocks.len() >= examples, "{} examples", blocks.len());
        for yaml in blocks {
            let config = parse(yaml);
            for (name, mut remote) in config.remote_models {
                // The file of the example is not on this machine.
                if remote.api_key_file.take().is_some() {
                    remote.api_key_env = Some("KEY".to_owned());
                }
                let built = remote::build(&name, &remote, |_| Some("sk-test".to_owned()));
                assert!(built.is_ok(), "{name}: {:?}", built.err());
                remote_models += 1;
            }
        }
    }
    assert!(remote_models >= 3, "{remote_models} remote models");
}
