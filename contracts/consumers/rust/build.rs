//! Generates the client from the contract, as any user would: tonic-prost-build, with
//! protox in place of a `protoc` binary.

use std::{env, error::Error, fs, path::PathBuf};

/// Where the `.proto` files are, when SIGNALBOX_PROTO does not say another folder, such
/// as an older release's.
const TREE: &str = "../../../proto";
const FILES: [&str; 3] = [
    "signalbox/embeddings/v1/embeddings.proto",
    "signalbox/guardrails/v1/guardrails.proto",
    "signalbox/router/v1/router.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let proto = env::var("SIGNALBOX_PROTO").unwrap_or_else(|_| TREE.to_owned());
    println!("cargo:rerun-if-env-changed=SIGNALBOX_PROTO");
    println!("cargo:rerun-if-changed={proto}");

    let mut compiler = protox::Compiler::new([&proto])?;
    compiler.include_imports(true);
    compiler.open_files(FILES)?;
    // For the cases, which find every RPC by itself.
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("signalbox.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
