//! Generates the contract's messages with pbjson's serde implementations, the
//! typed alternative that the benchmark measures.

use std::{env, error::Error, fs, path::PathBuf};

const PROTO: &str = "../../proto";
const FILES: [&str; 2] = [
    "signalbox/embeddings/v1/embeddings.proto",
    "signalbox/router/v1/router.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}/signalbox");
    println!("cargo:rerun-if-changed={PROTO}/google");
    let mut compiler = protox::Compiler::new([PROTO])?;
    compiler.include_imports(true);
    compiler.open_files(FILES)?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("bench.binpb"),
        &descriptors,
    )?;

    let mut prost = tonic_prost_build::Config::new();
    prost
        .bytes(["."])
        .extern_path(".google.protobuf", "::pbjson_types");
    tonic_prost_build::configure()
        // Keeps the path above: the builder would add another one of its own.
        .compile_well_known_types(true)
        .build_client(false)
        .build_server(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), prost)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .preserve_proto_field_names()
        .emit_fields()
        .ignore_unknown_fields()
        .build(&[".signalbox"])?;
    Ok(())
}
