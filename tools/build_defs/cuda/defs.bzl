"""Device code: `cuda_fatbin` compiles kernels, for a launcher to load through the driver."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain", "use_cpp_toolchain")

_TOOLCHAIN = "//tools/build_defs/cuda:toolchain_type"

# A100 and its kin; H100, H200; and what the driver compiles for whatever comes after.
_ARCHITECTURES = ["sm_80", "sm_90a", "compute_90"]

def _gencode(code):
    """nvcc's option for one image: `sm_90a` is machine code, `compute_90` is PTX."""
    return "--generate-code=arch=%s,code=%s" % (code.replace("sm_", "compute_"), code)

def _cuda_fatbin_impl(ctx):
    nvcc = ctx.toolchains[_TOOLCHAIN].nvcc
    cc = find_cpp_toolchain(ctx)

    # One translation unit: kernels share device functions and constants without
    # relocatable device code, which costs registers.
    unit = ctx.actions.declare_file(ctx.label.name + ".cu")
    ctx.actions.write(unit, "".join(['#include "%s"\n' % src.path for src in ctx.files.srcs]))

    fatbin = ctx.actions.declare_file(ctx.label.name + ".fatbin")
    report = ctx.actions.declare_file(ctx.label.name + ".ptxas.txt")

    args = ctx.actions.args()
    args.add_all([fatbin, report, nvcc.nvcc])
    args.add("--fatbin")

    # The host compiler only preprocesses: a newer one than nvcc knows will do.
    args.add("--compiler-bindir", cc.compiler_executable)
    args.add("--allow-unsupported-compiler")

    # With GNU's extensions, as g++ asks for them, glibc 2.42 and CUDA 13.0 both declare rsqrt.
    args.add("--compiler-options=-U_GNU_SOURCE,-D_DEFAULT_SOURCE")
    args.add("--std=c++17")
    args.add("-I.")
    args.add_all(ctx.attr.architectures, map_each = _gencode)
    args.add("--ptxas-options=--verbose,--warn-on-spills")

    # So that what is in it can be checked.
    args.add("--no-compress")
    args.add("--Werror=all-warnings")
    args.add_all(ctx.attr.nvccopts)
    args.add(unit)

    ctx.actions.run(
        arguments = [args],
        # nvcc finds its own programs beside itself; the host compiler, its own on PATH.
        env = {"PATH": "/usr/bin:/bin"},
        executable = ctx.executable._fatbin,
        inputs = depset(
            [unit] + ctx.files.srcs + ctx.files.hdrs,
            transitive = [nvcc.files, cc.all_files],
        ),
        mnemonic = "CudaFatbin",
        outputs = [fatbin, report],
        progress_message = "Compiling kernels %{label}",
        toolchain = _TOOLCHAIN,
    )
    return [
        DefaultInfo(files = depset([fatbin])),
        OutputGroupInfo(ptxas = depset([report])),
    ]

cuda_fatbin = rule(
    implementation = _cuda_fatbin_impl,
    attrs = {
        "architectures": attr.string_list(
            default = _ARCHITECTURES,
            doc = "The images: `sm_*` is machine code, `compute_*` is PTX.",
        ),
        "hdrs": attr.label_list(
            allow_files = [".h", ".cuh"],
            doc = "Included by `srcs`, by their paths in the workspace or beside.",
        ),
        "nvccopts": attr.string_list(
            doc = "More of nvcc's options.",
        ),
        "srcs": attr.label_list(
            allow_files = [".cu"],
            doc = "Kernels, `extern \"C\"`, compiled together in this order.",
            mandatory = True,
        ),
        "_fatbin": attr.label(
            cfg = "exec",
            default = "//tools/build_defs/cuda:fatbin",
            executable = True,
        ),
    },
    doc = "Compiles kernels to one fatbin. The output group `ptxas` is the report on each: " +
          "registers, spills, shared and constant memory.",
    toolchains = [_TOOLCHAIN] + use_cpp_toolchain(),
)
