"""`@base`: what images are laid upon, assembled from a Debian root or pulled by digest."""

load(":registry.bzl", "parse_reference", "pull")

# What `tools/images/root_tar.sh` takes of the root: the C library, what unwinds a panic,
# Mozilla's certificates and the time zones.
_PACKAGES = ["ca-certificates", "libc6", "libgcc-s1", "tzdata"]

_BUILD = """\
load("{base_layer}", "base_source")

base_source(
    name = "base",
{attributes}    visibility = ["//visibility:public"],
)
"""

_DEFS = '''\
"""Whether there is a base for images."""

# For `target_compatible_with`.
BASE = {}
'''

def _build(**attributes):
    return _BUILD.format(
        attributes = "".join(["    %s = %s,\n" % (name, repr(value)) for name, value in attributes.items()]),
        base_layer = str(Label("//tools/build_defs/image:base_layer.bzl")),
    )

def _pulled(ctx, image):
    reference = parse_reference(image)
    pull(ctx, reference, "layout")
    component = {
        "name": "%s/%s" % (reference.registry, reference.repository),
        "purl": "pkg:oci/%s@%s?arch=amd64&repository_url=%s/%s" % (
            reference.repository.rpartition("/")[2],
            reference.digest,
            reference.registry,
            reference.repository,
        ),
        "version": reference.digest,
    }
    return _build(component = json.encode(component), layout = "layout")

def _assembled(ctx, status):
    # An upgrade of the system is a new base.
    ctx.watch(status)
    result = ctx.execute(
        [ctx.path(Label("//tools/images:root_tar.sh")), "/", "root.tar"] + _PACKAGES,
        environment = {"LC_ALL": "C"},
    )
    if result.return_code:
        fail("the base of images cannot be assembled (docs/images.md): " + result.stderr)
    return _build(root = "root.tar")

def _image_base_impl(ctx):
    image = ctx.os.environ.get("SIGNALBOX_BASE_IMAGE")
    status = ctx.path("/var/lib/dpkg/status")
    compatible = True
    if image:
        build = _pulled(ctx, image)
    elif status.exists:
        build = _assembled(ctx, status)
    else:
        # No Debian to assemble from: images are skipped, all else builds.
        compatible = False
        ctx.file("root.tar", "")
        build = _build(root = "root.tar")
    ctx.file("BUILD.bazel", build)
    ctx.file("defs.bzl", _DEFS.format("[]" if compatible else '["@platforms//:incompatible"]'))

image_base = repository_rule(
    implementation = _image_base_impl,
    doc = "`:base`, a `base_source`; `BASE` in `defs.bzl`: whether images can be made here.",
    environ = ["PATH", "SIGNALBOX_BASE_IMAGE"],
)
