"""Which crates a program is really linked from.

The list in a bill of materials is read off the link itself, not off Cargo.lock: what only
tests, build scripts and procedural macros use is not in a program.
"""

load("@rules_rust//rust:defs.bzl", "rust_common")

CrateGraphInfo = provider(
    "The crates that a crate brings into a program.",
    fields = {
        "crate": "struct: this crate; None where nothing of it is linked",
        "crates": "depset of structs: it and all that it uses. owner: its target; name and " +
                  "version: its package's; manifest: its Cargo.toml, None for a crate of the " +
                  "workspace; notices: its licence files; uses: `name@version` of each crate",
    },
)

# Where a licence's own text may be, if it is none of SPDX's.
_NOTICES = ("COPYING", "LICENCE", "LICENSE", "NOTICE", "UNLICENSE")

def _tag(ctx, prefix):
    found = [tag[len(prefix):] for tag in ctx.rule.attr.tags if tag.startswith(prefix)]
    return found[0] if found else None

def _crate_graph_impl(target, ctx):
    # A build script's own dependencies end in the build script, a macro's in the compiler.
    if rust_common.crate_info not in target or target[rust_common.crate_info].type == "proc-macro":
        return CrateGraphInfo(crate = None, crates = depset())

    used = [dep[CrateGraphInfo] for dep in ctx.rule.attr.deps if CrateGraphInfo in dep]
    label = target.label
    manifest = None
    notices = []
    if label.workspace_name:
        # crate_universe's targets have all files of the crate, but no attribute for this one.
        folder = "/".join([part for part in [label.workspace_root, label.package] if part])
        for file in ctx.rule.files.compile_data:
            if file.path == folder + "/Cargo.toml":
                manifest = file
            elif file.dirname == folder and file.basename.upper().startswith(_NOTICES):
                notices.append(file)
        name = _tag(ctx, "crate-name=")
        if not manifest or not name:
            fail("%s does not look like a target of crate_universe: no tag crate-name, or no Cargo.toml in compile_data" % label)
    else:
        # The workspace's packages are named as their crates; the image tool holds it to that.
        name = target[rust_common.crate_info].name.replace("_", "-")
    crate = struct(
        manifest = manifest,
        name = name,
        notices = tuple(notices),
        owner = label,
        uses = tuple(["%s@%s" % (it.crate.name, it.crate.version) for it in used if it.crate]),
        version = ctx.rule.attr.version,
    )
    return CrateGraphInfo(
        crate = crate,
        crates = depset([crate], transitive = [it.crates for it in used]),
    )

crate_graph_aspect = aspect(
    implementation = _crate_graph_impl,
    attr_aspects = ["deps"],
    doc = "Walks what is linked: libraries, by `deps`.",
    provides = [CrateGraphInfo],
)

def _check_complete(binary, crates):
    """The walk has seen what rules_rust gives to the linker, no more and no less."""
    linked = {
        str(it.owner): None
        for it in binary[rust_common.dep_info].transitive_crates.to_list()
        if it.type != "proc-macro"
    }
    seen = {str(it.owner): None for it in crates if it.owner != binary.label}
    wrong = [it for it in linked if it not in seen] + [it for it in seen if it not in linked]
    if wrong:
        fail("the graph of %s is not what is linked; it differs in %s" % (binary.label, ", ".join(wrong)))

def crate_graph(ctx, binary, manifests, components, out):
    """Writes the link graph as `signalbox-oci inventory` reads it.

    Args:
      ctx: of a rule with Rust's toolchain.
      binary: a rust_binary, with `crate_graph_aspect`.
      manifests: files; the Cargo.toml of each crate of the workspace.
      components: dicts; what is in the program or under it beside crates.
      out: the JSON file to write.
    Returns:
      A depset of the files that are named in it.
    """
    crates = binary[CrateGraphInfo].crates.to_list()
    _check_complete(binary, crates)
    by_package = {file.owner.package: file for file in manifests}

    entries = {}
    files = []
    for crate in crates:
        manifest = crate.manifest or by_package.get(crate.owner.package)
        if not manifest:
            fail("%s is linked into %s; add //%s:Cargo.toml to the manifests" % (crate.owner, binary.label, crate.owner.package))
        files += [manifest] + list(crate.notices)

        # A package's program and its library are one entry.
        key = "%s@%s" % (crate.name, crate.version)
        before = entries.get(key, {"depends_on": []})
        uses = {it: None for it in before["depends_on"] + list(crate.uses) if it != key}
        entries[key] = {
            "depends_on": sorted(uses),
            "manifest": manifest.path,
            "name": crate.name,
            "version": crate.version,
        }

    # What version the standard library has, only the compiler that brings it can say.
    toolchain = ctx.toolchains["@rules_rust//rust:toolchain_type"]
    std = {
        "license": "MIT OR Apache-2.0",
        "name": "rust-std",
        "purl": "pkg:generic/rust-std@{RUST_VERSION}",
        "version": "{RUST_VERSION}",
    }
    template = ctx.actions.declare_file(out.basename + ".in", sibling = out)
    ctx.actions.write(template, json.encode_indent({
        "components": [std] + components,
        "crates": [entries[key] for key in sorted(entries)],
        "root": binary[CrateGraphInfo].crate.name,
    }))
    ctx.actions.run_shell(
        arguments = [toolchain.rustc.path, template.path, out.path],
        command = """set -eu
version=$("$1" --version | cut -d ' ' -f 2)
sed "s/{RUST_VERSION}/$version/" "$2" >"$3"
""",
        inputs = depset([template], transitive = [toolchain.all_files]),
        mnemonic = "CrateGraph",
        outputs = [out],
        progress_message = "Listing the crates of %{label}",
    )
    return depset(files)
