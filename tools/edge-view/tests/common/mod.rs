//! Where the tree is, and the view compiled by a reader that is not Kong's nor ours.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "shared by tests that each use a part"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use prost_reflect::DescriptorPool;
use protox::{
    Compiler, Error,
    file::{ChainFileResolver, DescriptorSetFileResolver, File, FileResolver},
};
use signalbox_edge_view::{contract::Contract, files::FOLDER};

pub(crate) fn root() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..")
}

pub(crate) fn contract() -> Contract {
    Contract::built_in().unwrap()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The views of the tree: file name and text.
pub(crate) fn views() -> Vec<(String, String)> {
    let mut views = Vec::new();
    for entry in fs::read_dir(root().join(FOLDER).join("edge")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = read(&format!("{FOLDER}/edge/{name}"));
        views.push((name, text));
    }
    views.sort();
    views
}

/// Files held in memory.
struct Sources(Vec<(String, String)>);

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let (name, text) = found.ok_or_else(|| Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// Compiles files in memory, with `google/*` from the contract.
pub(crate) fn compile(sources: Vec<(String, String)>) -> DescriptorPool {
    let names: Vec<String> = sources.iter().map(|(name, _)| name.clone()).collect();
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources(sources));
    resolver.add(DescriptorSetFileResolver::decode(signalbox_proto::FILE_DESCRIPTOR_SET).unwrap());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_files(&names).unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

/// The views as protox reads them. The one line that Kong cannot have is put in: the
/// import that defines the annotation.
pub(crate) fn view_pool() -> DescriptorPool {
    let sources = views().into_iter().map(|(name, text)| {
        let import = "\nimport \"google/api/annotations.proto\";\n\npackage ";
        (name, text.replacen("\npackage ", import, 1))
    });
    compile(sources.collect())
}

/// The contract with `with` put in the place of `what` in one of its files.
pub(crate) fn edited(file: &str, what: &str, with: &str) -> Contract {
    let mut sources = Vec::new();
    for name in ["embeddings", "guardrails", "router"] {
        let path = format!("signalbox/{name}/v1/{name}.proto");
        let mut text = read(&format!("proto/{path}"));
        if name == file {
            assert!(text.contains(what), "{path} has no {what:?}");
            text = text.replacen(what, with, 1);
        }
        sources.push((path, text));
    }
    Contract::of(compile(sources)).unwrap()
}
