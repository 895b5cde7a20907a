//! Reads `google.api.http` from a method's options.

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor, Value};

/// One binding of an RPC to a method and path.
#[derive(Debug)]
pub(crate) struct Rule {
    /// `*` stands for every method.
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) response_body: String,
}

/// The extension, where the contract imports it.
pub(crate) fn extension(pool: &DescriptorPool) -> Option<ExtensionDescriptor> {
    pool.get_extension_by_name("google.api.http")
}

/// The bindings of a method: its own and the additional ones; none when it is
/// not annotated.
///
/// # Errors
/// Says what the annotation lacks.
pub(crate) fn rules(
    method: &MethodDescriptor,
    extension: &ExtensionDescriptor,
) -> Result<Vec<Rule>, String> {
    let options = method.options();
    if !options.has_extension(extension) {
        return Ok(Vec::new());
    }
    let Value::Message(annotation) = options.get_extension(extension).into_owned() else {
        return Err("its google.api.http option is not a message".to_owned());
    };
    let mut rules = vec![rule(&annotation)?];
    let additional = annotation.get_field_by_name("additional_bindings");
    if let Some(Value::List(bindings)) = additional.as_deref() {
        for binding in bindings.iter().filter_map(Value::as_message) {
            let nested = binding.get_field_by_name("additional_bindings");
            if nested.is_some_and(|nested| nested.as_list().is_some_and(|list| !list.is_empty())) {
                return Err("an additional binding holds additional bindings".to_owned());
            }
            rules.push(rule(binding)?);
        }
    }
    Ok(rules)
}

fn rule(annotation: &DynamicMessage) -> Result<Rule, String> {
    let (method, path) = pattern(annotation).ok_or("its google.api.http rule has no pattern")?;
    Ok(Rule {
        method,
        path,
        body: text(annotation, "body"),
        response_body: text(annotation, "response_body"),
    })
}

fn pattern(annotation: &DynamicMessage) -> Option<(String, String)> {
    for name in ["get", "put", "post", "delete", "patch"] {
        if annotation.has_field_by_name(name) {
            return Some((name.to_uppercase(), text(annotation, name)));
        }
    }
    if !annotation.has_field_by_name("custom") {
        return None;
    }
    let custom = annotation.get_field_by_name("custom")?;
    let custom = custom.as_message()?;
    Some((text(custom, "kind"), text(custom, "path")))
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
