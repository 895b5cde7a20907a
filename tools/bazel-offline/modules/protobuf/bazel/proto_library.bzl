"""The rule that Bazel 7 has built in, under the name that protobuf gives it."""

proto_library = native.proto_library
