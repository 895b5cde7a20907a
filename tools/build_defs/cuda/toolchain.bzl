"""The toolchain that compiles CUDA C++: nvcc and the files that it reads."""

NvccInfo = provider(
    doc = "nvcc, as `toolchain.nvcc`.",
    fields = {
        "files": "Depset of files: nvcc's programs, its device library and CUDA's headers.",
        "nvcc": "File: the compiler driver.",
    },
)

def _nvcc_toolchain_impl(ctx):
    return [platform_common.ToolchainInfo(
        nvcc = NvccInfo(
            files = depset(ctx.files.files),
            nvcc = ctx.file.nvcc,
        ),
    )]

nvcc_toolchain = rule(
    implementation = _nvcc_toolchain_impl,
    attrs = {
        "files": attr.label_list(
            allow_files = True,
            cfg = "exec",
            doc = "All that nvcc reads or runs, laid out as in CUDA_HOME.",
            mandatory = True,
        ),
        "nvcc": attr.label(
            allow_single_file = True,
            cfg = "exec",
            doc = "`bin/nvcc`.",
            mandatory = True,
        ),
    },
    doc = "For `toolchain(toolchain_type = \"//tools/build_defs/cuda:toolchain_type\")`.",
)
