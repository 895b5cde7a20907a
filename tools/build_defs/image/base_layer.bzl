"""What is under a program in an image: `@base`, made ready for the programs at hand."""

BaseSourceInfo = provider(
    "Where the base comes from: one of the two.",
    fields = {
        "component": "dict: the pulled image, for the bill of materials; None if assembled",
        "layout": "File: the layout of a pulled image; None if assembled",
        "root": "File: a tar of what is needed of a Debian root; None if pulled",
    },
)

BaseInfo = provider(
    "What images are laid upon.",
    fields = {
        "component": "dict: the pulled image, for the bill of materials; None if assembled",
        "description": "File: which package each file is of; None if pulled",
        "layer": "File: the assembled layer; None if pulled",
        "layout": "File: the layout of a pulled image; None if assembled",
    },
)

def _base_source_impl(ctx):
    if bool(ctx.file.root) == bool(ctx.file.layout):
        fail("give one of root and layout")
    return [
        DefaultInfo(files = depset([ctx.file.root or ctx.file.layout])),
        BaseSourceInfo(
            component = json.decode(ctx.attr.component) if ctx.attr.component else None,
            layout = ctx.file.layout,
            root = ctx.file.root,
        ),
    ]

base_source = rule(
    implementation = _base_source_impl,
    attrs = {
        "component": attr.string(doc = "JSON: the pulled image as a component of a bill of materials."),
        "layout": attr.label(
            allow_single_file = True,
            doc = "The image layout of a pulled base.",
        ),
        "root": attr.label(
            allow_single_file = [".tar"],
            doc = "What `tools/images/root_tar.sh` wrote.",
        ),
    },
    doc = "What the repository `@base` holds.",
)

def _base_layer_impl(ctx):
    source = ctx.attr.source[BaseSourceInfo]
    if source.layout:
        return [
            DefaultInfo(files = depset([source.layout])),
            BaseInfo(component = source.component, description = None, layer = None, layout = source.layout),
        ]

    layer = ctx.actions.declare_file(ctx.label.name + ".tar")
    description = ctx.actions.declare_file(ctx.label.name + ".json")
    args = ctx.actions.args()
    args.add("base")
    args.add("--root", source.root)
    args.add_all(ctx.files.binaries, before_each = "--binary")
    args.add("--out", layer)
    args.add("--description-out", description)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._tool,
        inputs = [source.root] + ctx.files.binaries,
        mnemonic = "ImageBase",
        outputs = [layer, description],
        progress_message = "Assembling the base %{label}",
    )
    return [
        DefaultInfo(files = depset([layer, description])),
        BaseInfo(component = None, description = description, layer = layer, layout = None),
    ]

base_layer = rule(
    implementation = _base_layer_impl,
    attrs = {
        "binaries": attr.label_list(
            allow_files = True,
            doc = "The programs whose shared libraries the base must hold.",
        ),
        "source": attr.label(
            default = Label("@base"),
            providers = [BaseSourceInfo],
        ),
        "_tool": attr.label(
            cfg = "exec",
            default = Label("//tools/oci:signalbox-oci"),
            executable = True,
        ),
    },
    doc = "One base layer for all images, which they share in a registry and on a node.",
)
