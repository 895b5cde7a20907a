//! Compiles the contract without a `protoc` binary: protox reads the files, tonic
//! and prost write the Rust. Nothing outside this folder is read.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 3] = [
    "signalbox/embeddings/v1/embeddings.proto",
    "signalbox/guardrails/v1/guardrails.proto",
    "signalbox/router/v1/router.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-changed=google");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    // `encode_file_descriptor_set` keeps the extension options (google.api.http);
    // the typed set that prost-build reads would lose them.
    fs::write(
        out.join("signalbox.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;

    let mut prost = tonic_prost_build::Config::new();
    prost.bytes(["."]);
    tonic_prost_build::configure()
        .compile_fds_with_config(compiler.file_descriptor_set(), prost)?;
    Ok(())
}
