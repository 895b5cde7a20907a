"""The clients and tools of the end-to-end tests, as `make setup` installs them.

They are programs of other ecosystems (the OpenAI SDKs for Python and Node, grpcurl, an
OpenTelemetry Collector), pinned by the lock files beside `tools/setup`. Where they are
not installed, the tests that need them are skipped, and say so.
"""

load(":cache.bzl", "cached_folder")

_BUILD = """\
package(default_visibility = ["//visibility:public"])

# The folder is one input: its files are the installer's.
{tools}
"""

def _client_tools_impl(ctx):
    tools = cached_folder(ctx, "SIGNALBOX_TOOLS_DIR", "tools")
    complete = all([tools.get_child(part).exists for part in ["bin", "node", "python"]])
    if complete:
        for part in ["bin", "node", "python"]:
            ctx.symlink(tools.get_child(part), "tools/" + part)
    ctx.file("BUILD.bazel", _BUILD.format(
        tools = 'exports_files(["tools"])' if complete else 'filegroup(name = "tools")',
    ))
    ctx.file("defs.bzl", """\
\"\"\"Whether the clients of the end-to-end tests are installed.\"\"\"

# For `target_compatible_with`.
CLIENT_TOOLS = {}
""".format("[]" if complete else '["@platforms//:incompatible"]'))

client_tools = repository_rule(
    implementation = _client_tools_impl,
    doc = "`:tools`: the folder for SIGNALBOX_TOOLS_DIR; `CLIENT_TOOLS` in `defs.bzl`: whether it is there.",
    environ = ["HOME", "SIGNALBOX_TOOLS_DIR", "XDG_CACHE_HOME"],
    local = True,
)
