//! Writes the edge view of one package: plain proto3 without imports, labels (but
//! `repeated`), options on fields, oneofs, and well-known types.
//!
//! A field keeps its name, number, type and repetition, which is all that the wire
//! knows. A message from elsewhere (`google.protobuf.Timestamp`) becomes a message of the
//! package's own, because the plugin gives Google's names meanings that differ from ours.
//! Types are written with their whole name and a leading dot, so that no reader has to
//! search. A map stays a map: the plugin's parser makes the same entry message of it, and
//! its JSON is an object only so.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax};
use thiserror::Error;

use crate::{
    contract::{Binding, Contract, Rpc},
    path::Template,
    way,
};

/// Why a package has no view.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EmitError {
    /// The copy of a foreign type has the name of one of the package's own.
    #[error("{copy} is the view's copy of {foreign} and also the package's own: rename yours")]
    Taken {
        /// The name.
        copy: String,
        /// The foreign type.
        foreign: String,
    },
    /// Something that proto3 without options cannot say on the same wire.
    #[error("{0} cannot be said in the view: {1}")]
    Unsayable(String, &'static str),
}

/// The view of one package of the contract.
///
/// # Errors
/// Names what the view cannot hold.
pub fn package(contract: &Contract, package: &str) -> Result<String, EmitError> {
    let mut writer = Writer {
        package,
        copies: BTreeMap::new(),
        open: VecDeque::new(),
    };
    let mut body = String::new();
    for service in contract
        .pool
        .services()
        .filter(|service| service.package_name() == package)
    {
        let rpcs = contract
            .rpcs
            .iter()
            .filter(|rpc| *rpc.method.parent_service() == service);
        let mut rpcs: Vec<&Rpc> = rpcs.filter(|rpc| way::in_view(rpc)).collect();
        // The plugin takes the first declared path that matches.
        rpcs.sort_by_key(|rpc| specificity(rpc));
        writer.service(service.name(), &rpcs, &mut body);
    }
    let own = |name: &str| {
        let full = format!("{package}.{name}");
        contract.pool.get_message_by_name(&full).is_some()
            || contract.pool.get_enum_by_name(&full).is_some()
    };
    for file in contract
        .pool
        .files()
        .filter(|file| file.package_name() == package)
    {
        for message in file.messages() {
            writer.message(&message, message.name(), 0, &mut body)?;
        }
        for enumeration in file.enums() {
            enumeration_text(&enumeration, enumeration.name(), 0, &mut body);
        }
    }
    while let Some((copy, foreign)) = writer.open.pop_front() {
        if own(&copy) {
            let foreign = foreign.full_name().to_owned();
            return Err(EmitError::Taken { copy, foreign });
        }
        match foreign {
            Foreign::Message(message) => writer.message(&message, &copy, 0, &mut body)?,
            Foreign::Enum(enumeration) => enumeration_text(&enumeration, &copy, 0, &mut body),
        }
    }
    Ok(format!(
        "// Kong's view of {package}, written by signalbox-edge-view from proto/; do not edit.\n\
         // Comments and limits: proto/ and docs/gateway.md.\n\
         syntax = \"proto3\";\n\npackage {package};\n{body}"
    ))
}

/// Less is earlier: verbs first, then fewer variables, then the contract's order.
fn specificity(rpc: &Rpc) -> (bool, usize) {
    let template = rpc
        .bindings
        .first()
        .and_then(|binding| Template::parse(&binding.path));
    template.map_or((true, usize::MAX), |it| {
        (!it.has_verb(), it.variables().count())
    })
}

enum Foreign {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

impl Foreign {
    fn full_name(&self) -> &str {
        match self {
            Self::Message(message) => message.full_name(),
            Self::Enum(enumeration) => enumeration.full_name(),
        }
    }
}

struct Writer<'p> {
    package: &'p str,
    /// Foreign types by full name, with their names in the view.
    copies: BTreeMap<String, String>,
    /// Copies that are not written yet.
    open: VecDeque<(String, Foreign)>,
}

impl Writer<'_> {
    fn service(&mut self, name: &str, rpcs: &[&Rpc], out: &mut String) {
        if rpcs.is_empty() {
            return;
        }
        let _ = writeln!(out, "\nservice {name} {{");
        for (at, rpc) in rpcs.iter().enumerate() {
            let input = self.type_of(Foreign::Message(rpc.method.input()));
            let output = self.type_of(Foreign::Message(rpc.method.output()));
            if at > 0 {
                out.push('\n');
            }
            let _ = writeln!(
                out,
                "  rpc {}({input}) returns ({output}) {{",
                rpc.method.name()
            );
            out.push_str("    option (google.api.http) = {\n");
            for (at, binding) in rpc.bindings.iter().enumerate() {
                binding_text(binding, at > 0, out);
            }
            out.push_str("    };\n  }\n");
        }
        out.push_str("}\n");
    }

    fn message(
        &mut self,
        message: &MessageDescriptor,
        name: &str,
        depth: usize,
        out: &mut String,
    ) -> Result<(), EmitError> {
        let pad = "  ".repeat(depth);
        let nested = message
            .child_messages()
            .filter(|nested| !nested.is_map_entry());
        let nested: Vec<MessageDescriptor> = nested.collect();
        let enums: Vec<EnumDescriptor> = message.child_enums().collect();
        if depth == 0 {
            out.push('\n');
        }
        if message.fields().len() == 0 && nested.is_empty() && enums.is_empty() {
            let _ = writeln!(out, "{pad}message {name} {{}}");
            return Ok(());
        }
        let _ = writeln!(out, "{pad}message {name} {{");
        for nested in nested {
            self.message(&nested, nested.name(), depth + 1, out)?;
        }
        for enumeration in enums {
            enumeration_text(&enumeration, enumeration.name(), depth + 1, out);
        }
        for field in message.fields() {
            let field_type = self.field_type(&field)?;
            let _ = writeln!(
                out,
                "{pad}  {field_type} {} = {};",
                field.name(),
                field.number()
            );
        }
        let _ = writeln!(out, "{pad}}}");
        Ok(())
    }

    fn field_type(&mut self, field: &FieldDescriptor) -> Result<String, EmitError> {
        let unsayable = |why| Err(EmitError::Unsayable(field.full_name().to_owned(), why));
        if field.is_group() {
            return unsayable("a group");
        }
        let number = !matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Message(_));
        if field.is_list() && number && !field.is_packed() {
            return unsayable("an unpacked repeated number needs an option");
        }
        if field.parent_message().parent_file().syntax() == Syntax::Proto2
            && field.cardinality() == prost_reflect::Cardinality::Required
        {
            return unsayable("a required field");
        }
        if field.is_map()
            && let Kind::Message(entry) = field.kind()
        {
            let key = self.kind(&entry.map_entry_key_field().kind());
            let value = self.kind(&entry.map_entry_value_field().kind());
            return Ok(format!("map<{key}, {value}>"));
        }
        let kind = self.kind(&field.kind());
        Ok(if field.is_list() {
            format!("repeated {kind}")
        } else {
            kind
        })
    }

    fn kind(&mut self, kind: &Kind) -> String {
        match kind {
            Kind::Message(message) => self.type_of(Foreign::Message(message.clone())),
            Kind::Enum(enumeration) => self.type_of(Foreign::Enum(enumeration.clone())),
            Kind::Double => "double".to_owned(),
            Kind::Float => "float".to_owned(),
            Kind::Int32 => "int32".to_owned(),
            Kind::Int64 => "int64".to_owned(),
            Kind::Uint32 => "uint32".to_owned(),
            Kind::Uint64 => "uint64".to_owned(),
            Kind::Sint32 => "sint32".to_owned(),
            Kind::Sint64 => "sint64".to_owned(),
            Kind::Fixed32 => "fixed32".to_owned(),
            Kind::Fixed64 => "fixed64".to_owned(),
            Kind::Sfixed32 => "sfixed32".to_owned(),
            Kind::Sfixed64 => "sfixed64".to_owned(),
            Kind::Bool => "bool".to_owned(),
            Kind::String => "string".to_owned(),
            Kind::Bytes => "bytes".to_owned(),
        }
    }

    /// A type's name in the view: its own, or its copy's. A nested foreign type comes
    /// with the message that it is nested in.
    fn type_of(&mut self, wanted: Foreign) -> String {
        let full_name = wanted.full_name().to_owned();
        let (package, root) = match wanted {
            Foreign::Message(message) => (
                message.package_name().to_owned(),
                Foreign::Message(outermost(message)),
            ),
            Foreign::Enum(enumeration) => {
                let package = enumeration.package_name().to_owned();
                match enumeration.parent_message() {
                    Some(parent) => (package, Foreign::Message(outermost(parent))),
                    None => (package, Foreign::Enum(enumeration)),
                }
            }
        };
        if package == self.package {
            return format!(".{full_name}");
        }
        let root_name = root.full_name().to_owned();
        let nested = full_name.strip_prefix(&root_name).unwrap_or_default();
        let copy = copy_name(&root_name, &package);
        if self.copies.insert(root_name, copy.clone()).is_none() {
            self.open.push_back((copy.clone(), root));
        }
        format!(".{}.{copy}{nested}", self.package)
    }
}

fn outermost(message: MessageDescriptor) -> MessageDescriptor {
    message.parent_message().map_or(message, outermost)
}

/// `google.protobuf.Timestamp` is `EdgeTimestamp`; `signalbox.common.v1.Page` is
/// `EdgeSignalboxCommonV1Page`.
fn copy_name(full_name: &str, package: &str) -> String {
    let name = full_name.rsplit('.').next().unwrap_or(full_name);
    if package == "google.protobuf" {
        return format!("Edge{name}");
    }
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map_or(String::new(), |first| {
            first.to_ascii_uppercase().to_string() + letters.as_str()
        })
    };
    format!(
        "Edge{}{name}",
        package.split('.').map(capital).collect::<String>()
    )
}

fn binding_text(binding: &Binding, additional: bool, out: &mut String) {
    let pad = if additional { "  " } else { "" };
    if additional {
        out.push_str("      additional_bindings {\n");
    }
    let _ = writeln!(
        out,
        "      {pad}{}: \"{}\"",
        binding.verb.to_lowercase(),
        binding.path
    );
    if !binding.body.is_empty() {
        let _ = writeln!(out, "      {pad}body: \"{}\"", binding.body);
    }
    if additional {
        out.push_str("      }\n");
    }
}

fn enumeration_text(enumeration: &EnumDescriptor, name: &str, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    if depth == 0 {
        out.push('\n');
    }
    let _ = writeln!(out, "{pad}enum {name} {{");
    for value in enumeration.values() {
        let _ = writeln!(out, "{pad}  {} = {};", value.name(), value.number());
    }
    let _ = writeln!(out, "{pad}}}");
}
