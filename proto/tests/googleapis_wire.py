"""Holds our google/api/{http,annotations}.proto wire-equal to the public definition.

We declare google.api.http in our own words, so that a build needs nothing from
outside. What travels on the wire, and what other tools look for, must still be
exactly the public one: message and field names, numbers, types, labels, oneofs, JSON
names, and the extension. The public one is PyPI's googleapis-common-protos.

    cargo run -q -p signalbox-proto --example descriptor_set | python googleapis_wire.py

Exits with 1 and a line for each difference. Before it looks, it makes sure that it
would see a changed number, name, type, label and oneof, and a missing field.
"""

import sys

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2

PUBLIC = (http_pb2, annotations_pb2)


def field_facts(field):
    """All that a field means to the wire and to reflection; comments are not."""
    return {
        "name": field.name,
        "type": field.type,
        "type_name": field.type_name,
        "label": field.label,
        "oneof": field.oneof_index if field.HasField("oneof_index") else None,
        "proto3_optional": field.proto3_optional,
        "json_name": field.json_name,
        "extendee": field.extendee,
        "default": field.default_value,
        "packed": field.options.packed if field.options.HasField("packed") else None,
    }


def facts(file):
    """A flat `path -> value` of everything in a file that must be equal."""
    found = {"package": file.package, "syntax": file.syntax}
    for extension in file.extension:
        found[f"extension {extension.number}"] = field_facts(extension)

    def walk(messages, scope):
        for message in messages:
            name = f"{scope}.{message.name}"
            found[name] = {"oneofs": [oneof.name for oneof in message.oneof_decl]}
            for field in message.field:
                found[f"{name} field {field.number}"] = field_facts(field)
            walk(message.nested_type, name)
            for enum in message.enum_type:
                found[f"{name}.{enum.name}"] = {v.name: v.number for v in enum.value}

    walk(file.message_type, file.package)
    for enum in file.enum_type:
        found[f"{file.package}.{enum.name}"] = {v.name: v.number for v in enum.value}
    return found


def differences(ours, theirs):
    """One line for each fact that is not the same in both."""
    ours, theirs = facts(ours), facts(theirs)
    return [
        f"{path}: ours {ours.get(path)}, public {theirs.get(path)}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]


def public(module):
    """The public definition as a FileDescriptorProto, with the JSON names filled in."""
    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)

    def fill(messages):
        for message in messages:
            described = module.DESCRIPTOR.message_types_by_name[message.name]
            for field in message.field:
                field.json_name = described.fields_by_name[field.name].json_name
            assert not message.nested_type, "nested messages need a walk of their own"

    fill(file.message_type)
    for extension in file.extension:
        described = module.DESCRIPTOR.extensions_by_name[extension.name]
        extension.json_name = described.json_name
    return file


def sees_changes():
    """Whether every kind of change would be seen; a check that cannot fail is none."""

    def changed(change):
        file = public(http_pb2)
        rule = next(m for m in file.message_type if m.name == "HttpRule")
        change(rule)
        return differences(file, public(http_pb2))

    return all(
        (
            changed(lambda rule: setattr(rule.field[0], "number", 99)),
            changed(lambda rule: setattr(rule.field[0], "name", "other")),
            changed(lambda rule: setattr(rule.field[0], "type", 12)),
            changed(lambda rule: setattr(rule.field[0], "label", 3)),
            changed(lambda rule: rule.field[1].ClearField("oneof_index")),
            changed(lambda rule: rule.field.pop()),
            not changed(lambda rule: None),
        )
    )


def main():
    if not sees_changes():
        sys.exit("googleapis_wire: the check itself is broken: it misses a change")
    ours = descriptor_pb2.FileDescriptorSet.FromString(sys.stdin.buffer.read())
    files = {file.name: file for file in ours.file}
    failed = False
    for module in PUBLIC:
        name = module.DESCRIPTOR.name
        if name not in files:
            print(f"{name}: not in our descriptor set")
            failed = True
            continue
        for line in differences(files[name], public(module)):
            print(f"{name}: {line}")
            failed = True
    if failed:
        sys.exit(1)
    print(f"googleapis_wire: {len(PUBLIC)} files are wire-equal to the public definition")


if __name__ == "__main__":
    main()
