"""The architecture, as tests: who must not see whom.

Bazel's visibility keeps one package from another; `forbidden_edges` proves that it does.
Inside a service, where handlers and rules share a crate, `domain_test` keeps the wire out
of the modules that hold rules.
"""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("@rules_shell//shell:sh_test.bzl", "sh_test")
load(":rust.bzl", "rust_library")

def _forbidden_edge_test_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.expect_failure(env, "is not visible from")
    return analysistest.end(env)

_forbidden_edge_test = analysistest.make(_forbidden_edge_test_impl, expect_failure = True)

def forbidden_edges(targets):
    """Tests that a library of this package which depends on one of `targets` does not build.

    Args:
      targets: labels of packages' main libraries that this package must not use.
    """
    for target in targets:
        name = target.rpartition("/")[2]
        rust_library(
            name = "_uses_" + name,
            srcs = ["//tools/build_defs:empty.rs"],
            tags = [
                "bazel-only",
                "manual",
            ],
            deps = [target],
        )
        _forbidden_edge_test(
            name = "cannot_use_%s_test" % name,
            target_under_test = ":_uses_" + name,
        )

def domain_test(name, srcs):
    """Tests that modules of rules see neither the contract's types nor gRPC's.

    Args:
      name: the test's name.
      srcs: the modules.
    """
    sh_test(
        name = name,
        size = "small",
        srcs = ["//tools/checks:no_wire.sh"],
        args = ["$(rootpaths :%s_modules)" % name],
        data = [":" + name + "_modules"],
    )
    native.filegroup(
        name = name + "_modules",
        srcs = srcs,
    )
