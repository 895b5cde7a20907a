"""Debian's protobuf compiler and the well-known types."""

def _impl(ctx):
    ctx.symlink("/usr/bin/protoc", "protoc")
    ctx.symlink("/usr/include/google/protobuf", "google/protobuf")
    ctx.file("BUILD.bazel", 'exports_files(["protoc"] + glob(["google/protobuf/*.proto"]))\n')

system_protobuf = repository_rule(implementation = _impl, local = True)
