"""What Cargo.toml says of every crate. Written by `make sync`; do not edit."""

EDITION = "2024"

VERSION = "0.1.0"

RUSTC_LINTS = [
    "-Wmissing_docs",
    "-Wunreachable_pub",
    "-Wunused_qualifications",
]

CLIPPY_LINTS = [
    "-Wclippy::all",
    "-Wclippy::dbg_macro",
    "-Wclippy::missing_errors_doc",
    "-Wclippy::todo",
    "-Wclippy::unimplemented",
    "-Wclippy::unwrap_used",
    "-Aclippy::wildcard_enum_match_arm",
]
