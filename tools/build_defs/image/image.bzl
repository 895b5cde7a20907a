"""`signalbox_image`: a program as a container image, with its bills of materials."""

load("@base//:defs.bzl", "BASE")
load("@rules_pkg//pkg:mappings.bzl", "pkg_attributes", "pkg_files")
load("@rules_pkg//pkg:tar.bzl", "pkg_tar")
load("@rules_rust//rust:defs.bzl", "rust_common")
load("//tools/build_defs:workspace.bzl", "VERSION")
load(":base_layer.bzl", "BaseInfo")
load(":crate_graph.bzl", "crate_graph", "crate_graph_aspect")

# Numeric, so that an orchestrator sees that it is not root.
_USER = "65532:65532"

def _describe(ctx, base):
    """The bills of materials: what is linked, and what the base holds."""
    crates = ctx.actions.declare_file(ctx.label.name + ".crates.json")
    manifests = crate_graph(
        ctx,
        binary = ctx.attr.binary,
        components = [base.component] if base.component else [],
        manifests = ctx.files.manifests,
        out = crates,
    )

    inventory = ctx.actions.declare_file(ctx.label.name + ".inventory.json")
    inputs = [crates, ctx.file.lock, ctx.file.workspace_manifest, ctx.executable.binary]
    args = ctx.actions.args()
    args.add("inventory")
    args.add("--name", ctx.attr.title)
    args.add("--crates", crates)
    args.add("--lock", ctx.file.lock)
    args.add("--workspace-manifest", ctx.file.workspace_manifest)
    args.add("--program", ctx.executable.binary, format = ctx.attr.program.lstrip("/") + "=%s")
    args.add("--out", inventory)
    if base.description:
        args.add("--base", base.description)
        inputs.append(base.description)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = depset(inputs, transitive = [manifests]),
        mnemonic = "ImageInventory",
        outputs = [inventory],
        progress_message = "Listing what %{label} is made of",
    )

    cyclonedx = ctx.actions.declare_file(ctx.label.name + ".cdx.json")
    spdx = ctx.actions.declare_file(ctx.label.name + ".spdx.json")
    args = ctx.actions.args()
    args.add("sbom")
    args.add("--inventory", inventory)
    args.add("--cyclonedx", cyclonedx)
    args.add("--spdx", spdx)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = [inventory],
        mnemonic = "ImageSbom",
        outputs = [cyclonedx, spdx],
        progress_message = "Writing the bills of materials of %{label}",
    )
    return [cyclonedx, spdx]

def _assemble(ctx, base):
    """The image: its layout, the same as one archive, and its digest."""
    layout = ctx.actions.declare_directory(ctx.label.name)
    archive = ctx.actions.declare_file(ctx.label.name + ".tar")
    digest = ctx.actions.declare_file(ctx.label.name + ".digest")
    layers = ([base.layer] if base.layer else []) + [ctx.file.layer]
    labels = {
        "org.opencontainers.image.description": ctx.attr.description,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.title": ctx.attr.title,
        "org.opencontainers.image.version": VERSION,
    }
    if base.component:
        labels |= {
            "org.opencontainers.image.base.digest": base.component["version"],
            "org.opencontainers.image.base.name": base.component["name"],
        }

    args = ctx.actions.args()
    args.add("image")
    if base.layout:
        args.add_all([base.layout], before_each = "--base", expand_directories = False)
    args.add_all(layers, before_each = "--layer")
    args.add("--entrypoint", ctx.attr.program)
    args.add_all(ctx.attr.cmd, format_each = "--cmd=%s")
    args.add_all(ctx.attr.env.items(), format_each = "--env=%s", map_each = _assignment)
    args.add_all(labels.items(), format_each = "--label=%s", map_each = _assignment)
    args.add("--user", _USER)
    args.add("--port", ctx.attr.port)
    args.add("--reference", "localhost/%s:%s" % (ctx.attr.title, VERSION))
    args.add_all([layout], before_each = "--out", expand_directories = False)
    args.add("--archive", archive)
    args.add("--digest-out", digest)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = layers + ([base.layout] if base.layout else []),
        mnemonic = "Image",
        outputs = [layout, archive, digest],
        progress_message = "Assembling the image %{label}",
    )
    return struct(archive = archive, digest = digest, layout = layout)

def _assignment(item):
    return "%s=%s" % item

def _validate(ctx, image):
    """Bazel runs this whenever it builds the image."""
    stamp = ctx.actions.declare_file(ctx.label.name + ".checked")
    args = ctx.actions.args()
    args.add("check")
    args.add_all([image.layout], before_each = "--layout", expand_directories = False)
    args.add("--stamp", stamp)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = [image.layout],
        mnemonic = "ImageCheck",
        outputs = [stamp],
        progress_message = "Checking the image %{label}",
    )
    return stamp

def _image_impl(ctx):
    base = ctx.attr.base[BaseInfo]
    image = _assemble(ctx, base)
    sboms = _describe(ctx, base)
    files = depset([image.layout, image.digest] + sboms)
    return [
        DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files)),
        OutputGroupInfo(
            _validation = depset([_validate(ctx, image)]),
            archive = depset([image.archive]),
            digest = depset([image.digest]),
            layout = depset([image.layout]),
            sbom = depset(sboms),
        ),
    ]

_image = rule(
    implementation = _image_impl,
    attrs = {
        "base": attr.label(
            default = Label("//images:base"),
            doc = "What lies underneath.",
            providers = [BaseInfo],
        ),
        "binary": attr.label(
            aspects = [crate_graph_aspect],
            cfg = "target",
            doc = "The program, a rust_binary.",
            executable = True,
            mandatory = True,
            providers = [rust_common.crate_info, rust_common.dep_info],
        ),
        "cmd": attr.string_list(doc = "Arguments that a user may replace."),
        "description": attr.string(
            doc = "One line, for registries to show.",
            mandatory = True,
        ),
        "env": attr.string_dict(doc = "The environment that it runs in."),
        "layer": attr.label(
            allow_single_file = [".tar"],
            doc = "The tar that holds the program.",
            mandatory = True,
        ),
        "lock": attr.label(
            allow_single_file = True,
            default = Label("//:Cargo.lock"),
            doc = "Where each crate comes from, and its checksum.",
        ),
        "manifests": attr.label_list(
            allow_files = ["Cargo.toml"],
            doc = "The Cargo.toml of each crate of the workspace that is linked.",
        ),
        "port": attr.int(
            doc = "The TCP port that it serves.",
            mandatory = True,
        ),
        "program": attr.string(
            doc = "Where the program is in the image.",
            mandatory = True,
        ),
        "title": attr.string(
            doc = "The image's name.",
            mandatory = True,
        ),
        "workspace_manifest": attr.label(
            allow_single_file = True,
            default = Label("//:Cargo.toml"),
            doc = "What the workspace's crates inherit from.",
        ),
        "_tool": attr.label(
            cfg = "exec",
            default = Label("//tools/oci:signalbox-oci"),
            executable = True,
        ),
    },
    doc = "An OCI image layout; output groups `archive`, `digest`, `layout` and `sbom`.",
    toolchains = ["@rules_rust//rust:toolchain_type"],
)

def signalbox_image(name, binary, description, port, manifests, cmd = [], env = {}, **kwargs):
    """A service's image.

    Args:
      name: the target's, and the folder of the image layout.
      binary: the rust_binary that it runs; the image is called like it.
      description: one line, for registries to show.
      port: the TCP port that it serves, on all addresses.
      manifests: the Cargo.toml of each crate of the workspace that is linked.
      cmd: arguments that a user may replace.
      env: more of the environment that it runs in.
      **kwargs: what all rules have.
    """
    title = native.package_relative_label(binary).name
    pkg_files(
        name = name + "_files",
        srcs = [binary],
        attributes = pkg_attributes(mode = "0755"),
        prefix = "usr/bin",
        target_compatible_with = BASE,
        visibility = ["//visibility:private"],
    )
    pkg_tar(
        name = name + "_layer",
        srcs = [name + "_files"],
        # Fixed, so that another default of rules_pkg changes nothing.
        mode = "0755",
        mtime = 0,
        portable_mtime = False,
        target_compatible_with = BASE,
        visibility = ["//visibility:private"],
    )
    _image(
        name = name,
        binary = binary,
        cmd = cmd,
        description = description,
        env = {"SIGNALBOX__SERVER__LISTEN": "0.0.0.0:%d" % port} | env,
        layer = name + "_layer",
        manifests = manifests,
        port = port,
        program = "/usr/bin/" + title,
        target_compatible_with = BASE,
        title = title,
        **kwargs
    )
