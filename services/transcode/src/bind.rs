//! Path variables and query parameters as protobuf records.
//!
//! They are appended beside the body's records. Protobuf merges messages that
//! occur twice and lets a later scalar win, so a nested field such as
//! `policy.route` needs no message to be put together first.

use crate::{
    decode::{scalar, well_known},
    fault::{Fault, Read},
    plan::{Accept, Card, Kind, Plan, Shape},
    routes::decode,
    wire,
};

/// A field of a field of ... the request, as indices of each message's fields.
pub(crate) type Chain = Vec<(u32, u16)>;

/// Resolves a field path from the message `root`.
///
/// # Errors
/// Says which part does not exist, or why it cannot be reached by text.
pub(crate) fn resolve<'n>(
    plan: &Plan,
    root: u32,
    path: impl Iterator<Item = &'n str>,
) -> Result<Chain, String> {
    let mut chain = Chain::new();
    let mut next = Some(root);
    for name in path {
        let Some(at) = next else {
            return Err(format!("the field before `{name}` is not a message"));
        };
        let message = plan.message(at);
        let (index, field) = message
            .by_name(name)
            .ok_or_else(|| format!("{} has no field `{name}`", message.full_name))?;
        chain.push((at, index));
        next = match (field.kind, field.card) {
            (Kind::Message(inner), Card::One { .. })
                if plan.message(inner).shape == Shape::Object =>
            {
                Some(inner)
            }
            _ => None,
        };
    }
    Ok(chain)
}

/// Whether a value can be given as text, and whether it may come several times.
pub(crate) fn takes_text(plan: &Plan, chain: &[(u32, u16)]) -> Option<Card> {
    let &(message, field) = chain.last()?;
    let field = plan.message(message).field(field);
    let takes = match (field.card, field.kind) {
        (Card::Map { .. }, _) => false,
        (_, Kind::Message(inner)) => matches!(
            plan.message(inner).shape,
            Shape::Timestamp | Shape::Duration | Shape::FieldMask | Shape::Wrapper(_)
        ),
        _ => true,
    };
    takes.then_some(field.card)
}

/// Appends one value.
///
/// # Errors
/// Names the field and what it expects.
pub(crate) fn put(plan: &Plan, chain: &[(u32, u16)], text: &str, out: &mut Vec<u8>) -> Read<()> {
    let Some((&(message, field), inner)) = chain.split_first() else {
        return Ok(());
    };
    let field = plan.message(message).field(field);
    let in_field = |fault: Fault| fault.in_field(&field.name);
    wire::put_varint(out, field.tag());
    match field.kind {
        Kind::String => wire::put_len(out, text.as_bytes()),
        Kind::Bytes | Kind::Message(_) => {
            let mark = wire::open(out);
            match field.kind {
                Kind::Message(_) if !inner.is_empty() => {
                    put(plan, inner, text, out).map_err(in_field)?;
                }
                Kind::Message(index) => {
                    let shape = plan.message(index).shape;
                    let parsed = well_known::from_text(plan, shape, text, out)
                        .unwrap_or_else(|| Err("it cannot be given as text".to_owned()));
                    parsed.map_err(Fault::field).map_err(in_field)?;
                }
                _ => scalar::base64(text, out)
                    .map_err(Fault::field)
                    .map_err(in_field)?,
            }
            wire::close(out, mark);
        }
        kind => match scalar::parse(plan, kind, text) {
            Some(Ok(scalar)) => scalar.put(out),
            Some(Err(message)) => return Err(in_field(Fault::field(message))),
            None => return Err(in_field(Fault::field("it cannot be given as text"))),
        },
    }
    Ok(())
}

/// Appends the parameters of a query string. Unknown ones are ignored, as `OpenAI`
/// ignores them; so are those that `bound` says come from elsewhere.
///
/// # Errors
/// Names a field whose value does not fit, or that a query cannot hold.
pub(crate) fn put_query(
    plan: &Plan,
    root: u32,
    query: &str,
    bound: impl Fn(&[(u32, u16)]) -> bool,
    out: &mut Vec<u8>,
) -> Read<()> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(key) = form_decode(key) else {
            continue;
        };
        let Ok(chain) = resolve(plan, root, key.split('.')) else {
            continue;
        };
        if bound(&chain) {
            continue;
        }
        let refuse = |message: &str| Fault::field(message).in_field(&key);
        if takes_text(plan, &chain).is_none() {
            return Err(refuse("it cannot be given as a query parameter"));
        }
        let Some(value) = form_decode(value) else {
            return Err(refuse("its percent escapes are not UTF-8"));
        };
        put(plan, &chain, &value, out)?;
    }
    Ok(())
}

/// Resolves `+` and percent escapes.
fn form_decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    Some(decode(&text)?.into_owned())
}

/// The fields of a message that a query can hold, for the API's description:
/// each with its dotted name. Nested messages are entered to a bounded depth.
pub(crate) fn query_fields(plan: &Plan, root: u32) -> Vec<(String, Chain)> {
    let mut found = Vec::new();
    collect(
        plan,
        root,
        &mut String::new(),
        &mut Chain::new(),
        &mut found,
    );
    found
}

fn collect(
    plan: &Plan,
    index: u32,
    prefix: &mut String,
    chain: &mut Chain,
    found: &mut Vec<(String, Chain)>,
) {
    const DEPTH: usize = 4;
    if chain.len() == DEPTH || chain.iter().any(|(outer, _)| *outer == index) {
        return;
    }
    for (at, field) in (0u16..).zip(&plan.message(index).fields) {
        let length = prefix.len();
        prefix.push_str(&field.name);
        chain.push((index, at));
        if takes_text(plan, chain).is_some() && field.accept == Accept::Plain {
            found.push((prefix.clone(), chain.clone()));
        } else if let (Kind::Message(inner), Card::One { .. }) = (field.kind, field.card)
            && plan.message(inner).shape == Shape::Object
        {
            prefix.push('.');
            collect(plan, inner, prefix, chain, found);
        }
        chain.pop();
        prefix.truncate(length);
    }
}
