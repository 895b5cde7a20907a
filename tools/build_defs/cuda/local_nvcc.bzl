"""The nvcc of this machine: CUDA_HOME, PATH, or what `tools/setup/cuda.sh` has laid out."""

load("//tools/build_defs:cache.bzl", "cached_folder")

_BUILD = """\
load("{defs}", "nvcc_toolchain")

filegroup(
    name = "files",
    srcs = glob(
        [
            "bin/**",
            "include/**",
            "nvvm/bin/**",
            "nvvm/libdevice/**",
        ],
        allow_empty = True,
    ),
)

nvcc_toolchain(
    name = "nvcc",
    files = [":files"],
    nvcc = "bin/nvcc",
)

toolchain(
    name = "toolchain",
    exec_compatible_with = [
        "@platforms//cpu:x86_64",
        "@platforms//os:linux",
    ],
    target_compatible_with = ["{constraint}"],
    toolchain = ":nvcc",
    toolchain_type = "{type}",
)
"""

def _find(ctx):
    """CUDA_HOME as it is named, or as it follows from where nvcc is."""
    named = ctx.os.environ.get("CUDA_HOME")
    if named:
        home = ctx.path(named)
        if not home.get_child("bin").get_child("nvcc").exists:
            fail("CUDA_HOME is %s, where bin/nvcc is missing" % named)
        return home

    # A distribution's nvcc may be a script elsewhere; nvcc itself has its profile beside it.
    on_path = ctx.which("nvcc")
    if on_path and on_path.realpath.dirname.get_child("nvcc.profile").exists:
        return on_path.realpath.dirname.dirname

    home = cached_folder(ctx, "SIGNALBOX_TOOLS_DIR", "tools").get_child("cuda")
    if not home.get_child("bin").get_child("nvcc").exists:
        fail("no nvcc: set CUDA_HOME to CUDA 13's folder, or run tools/setup/cuda.sh; " +
             "without --config=cuda the kernels are skipped")
    return home

def _local_nvcc_impl(ctx):
    home = _find(ctx)
    for part in ["bin", "include", "nvvm"]:
        ctx.symlink(home.get_child(part), part)
    ctx.file("BUILD.bazel", _BUILD.format(
        constraint = Label("//tools/build_defs/cuda:nvcc"),
        defs = Label("//tools/build_defs/cuda:toolchain.bzl"),
        type = Label("//tools/build_defs/cuda:toolchain_type"),
    ))

local_nvcc = repository_rule(
    implementation = _local_nvcc_impl,
    configure = True,
    doc = "The machine's nvcc as `:toolchain`, which `--config=cuda` registers.",
    environ = ["CUDA_HOME", "HOME", "PATH", "SIGNALBOX_TOOLS_DIR", "XDG_CACHE_HOME"],
    local = True,
)
