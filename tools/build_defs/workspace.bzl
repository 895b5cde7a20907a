"""What Cargo.toml says of every crate. Written by `make sync`; do not edit."""

EDITION = "2024"

VERSION = "0.1.0"

RUSTC_LINTS = [
    "-Wunused_qualifications",
    "-Wunreachable_pub",
    "-Wmissing_docs",
]

CLIPPY_LINTS = [
    "-Wclippy::all",
    "-Aclippy::wildcard_enum_match_arm",
    "-Wclippy::unwrap_used",
    "-Wclippy::unimplemented",
    "-Wclippy::todo",
    "-Wclippy::missing_errors_doc",
    "-Wclippy::dbg_macro",
]
