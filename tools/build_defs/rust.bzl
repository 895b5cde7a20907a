"""rules_rust's rules, with what the whole workspace shares filled in.

Edition, version and lints are Cargo.toml's (`workspace.bzl`). A BUILD file says only
what is particular to its target.
"""

load("@rules_rust//cargo:defs.bzl", _cargo_build_script = "cargo_build_script")
load(
    "@rules_rust//rust:defs.bzl",
    _rust_binary = "rust_binary",
    _rust_doc_test = "rust_doc_test",
    _rust_library = "rust_library",
    _rust_test = "rust_test",
)
load(":workspace.bzl", "EDITION", "RUSTC_LINTS", "VERSION")

# For the SIGNALBOX_MODELS_DIR of a test that has `@models//:store` among its data.
MODELS_DIR = "$(rootpath @models//:store)"

# Warnings are errors here, as in `make test`.
_FLAGS = ["-Dwarnings"] + RUSTC_LINTS

# As Cargo's release profile: link-time optimisation is worth its time only for what is shipped.
_LINK_FLAGS = select({
    "//tools/build_defs:release": ["-Clto=thin"],
    "//conditions:default": [],
})

def rust_library(rustc_flags = [], **kwargs):
    """A library of this workspace; `kwargs` are rules_rust's.

    Args:
      rustc_flags: flags beyond the workspace's lints.
      **kwargs: rules_rust's own attributes.
    """
    _rust_library(
        edition = EDITION,
        rustc_flags = _FLAGS + rustc_flags,
        version = VERSION,
        **kwargs
    )

def rust_binary(rustc_flags = [], **kwargs):
    """A program of this workspace; with `--config=release`, link-time optimised.

    Args:
      rustc_flags: flags beyond the workspace's lints.
      **kwargs: rules_rust's own attributes.
    """
    _rust_binary(
        edition = EDITION,
        rustc_flags = _FLAGS + rustc_flags + _LINK_FLAGS,
        version = VERSION,
        **kwargs
    )

def rust_test(env = {}, rustc_flags = [], **kwargs):
    """A test, which finds its data as it does under Cargo.

    Cargo sets CARGO_MANIFEST_DIR while a test runs; here it is the package's folder
    among the test's runfiles, where a test starts.

    Args:
      env: more of the test's environment.
      rustc_flags: flags beyond the workspace's lints.
      **kwargs: rules_rust's own attributes.
    """
    _rust_test(
        edition = EDITION,
        env = {
            "CARGO_MANIFEST_DIR": native.package_name(),
            "INSTA_UPDATE": "no",  # snapshots are compared, never written
            # One thread for each model: the tests run several at once.
            "RAYON_NUM_THREADS": "1",
        } | env,
        # Where snapshots are found from. Without it insta compiles in the folder of the
        # sandbox, which no two builds share.
        rustc_env = {"INSTA_WORKSPACE_ROOT": "."},
        rustc_flags = _FLAGS + rustc_flags,
        version = VERSION,
        **kwargs
    )

rust_doc_test = _rust_doc_test

def cargo_build_script(**kwargs):
    """A build script, which reads nothing but `data`.

    Args:
      **kwargs: rules_rust's own attributes.
    """
    _cargo_build_script(
        edition = EDITION,
        version = VERSION,
        **kwargs
    )
