"""The Rust toolchain that is already on this machine (rustup's or the distribution's)."""

_BUILD = """\
load("@rules_rust//rust:toolchain.bzl", "rust_stdlib_filegroup", "rust_toolchain", "rustfmt_toolchain")

package(default_visibility = ["//visibility:public"])

exports_files(glob(["bin/*"]))

filegroup(
    name = "rustc_lib",
    srcs = glob(
        [
            "lib/*.so*",
            "lib/rustlib/{triple}/bin/**",
            "lib/rustlib/{triple}/lib/*.so",
            "lib/rustlib/{triple}/codegen-backends/*.so",
        ],
        allow_empty = True,
    ),
)

# `*.rmeta`: since Rust 1.95 an rlib of the standard library holds only a stub of its metadata.
rust_stdlib_filegroup(
    name = "rust_std",
    srcs = glob(
        [
            "lib/rustlib/{triple}/lib/*.rlib",
            "lib/rustlib/{triple}/lib/*.rmeta",
            "lib/rustlib/{triple}/lib/*.so",
            "lib/rustlib/{triple}/lib/*.a",
            "lib/rustlib/{triple}/lib/self-contained/**",
        ],
        allow_empty = True,
    ),
)

rust_toolchain(
    name = "rust",
    binary_ext = "",
    cargo = "bin/cargo",
    cargo_clippy = "bin/cargo-clippy",
    clippy_driver = "bin/clippy-driver",
    default_edition = "2024",
    dylib_ext = ".so",
    exec_triple = "{triple}",
    rust_doc = "bin/rustdoc",
    rust_std = ":rust_std",
    rustc = "bin/rustc",
    rustc_lib = ":rustc_lib",
    rustfmt = "bin/rustfmt",
    staticlib_ext = ".a",
    stdlib_linkflags = ["-ldl", "-lpthread"],
    target_triple = "{triple}",
)

toolchain(
    name = "toolchain",
    toolchain = ":rust",
    toolchain_type = "@rules_rust//rust:toolchain_type",
)
"""

_TOOLS = ["cargo", "cargo-clippy", "clippy-driver", "rustc", "rustdoc", "rustfmt"]

def _local_rust_impl(ctx):
    def output(*args):
        result = ctx.execute(args)
        if result.return_code:
            fail("%s: %s" % (" ".join([str(a) for a in args]), result.stderr))
        return result.stdout.strip()

    rustc = ctx.os.environ.get("RUSTC") or ctx.which("rustc")
    if not rustc:
        fail("no rustc in PATH; install Rust with rustup, or build without --config=offline")
    sysroot = ctx.path(output(rustc, "--print", "sysroot"))
    triple = [line for line in output(rustc, "-vV").splitlines() if line.startswith("host: ")][0][len("host: "):]

    for name in _TOOLS:
        tool = sysroot.get_child("bin").get_child(name)
        if not tool.exists:
            fail("%s is missing; run `rustup component add clippy rustfmt`" % name)
        ctx.symlink(tool, "bin/" + name)
    for file in sysroot.get_child("lib").readdir():
        name = file.basename
        if name.startswith("lib") and ".so" in name and ("rustc_driver" in name or "LLVM" in name):
            ctx.symlink(file, "lib/" + name)
    ctx.symlink(
        sysroot.get_child("lib").get_child("rustlib").get_child(triple),
        "lib/rustlib/" + triple,
    )
    ctx.file("BUILD.bazel", _BUILD.format(triple = triple))

local_rust = repository_rule(
    implementation = _local_rust_impl,
    configure = True,
    doc = "A `rust_toolchain` of the machine's own Rust, as `:toolchain`; its programs in `bin/`.",
    environ = ["PATH", "RUSTC"],
    local = True,
)
