//! The compiled contract: routes, RPCs and message plans, shared by all requests.

use std::sync::Arc;

use http::{Method, uri::PathAndQuery};

use crate::{
    bind::{self, Chain},
    builder::Builder,
    decode, encode,
    fault::{Fault, Read, Report},
    plan::Plan,
    render::ErrorShape,
    routes::{self, Found, Routes},
    template::Template,
    wire::{Corrupt, Reader, WireType},
};

/// Turns REST requests into gRPC requests and gRPC responses into REST responses.
///
/// Built once from descriptors; cheap to clone.
#[derive(Clone, Debug)]
pub struct Transcoder {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) plan: Plan,
    pub(crate) rpcs: Vec<Rpc>,
    pub(crate) routes: Vec<Route>,
    pub(crate) table: Routes,
    pub(crate) max_request: usize,
    pub(crate) max_response: usize,
    pub(crate) pool: prost_reflect::DescriptorPool,
}

/// One RPC that a route, or a route's stream switch, leads to.
#[derive(Debug)]
pub(crate) struct Rpc {
    /// `pkg.Service.Method`.
    pub(crate) name: Arc<str>,
    /// `/pkg.Service/Method`.
    pub(crate) path: PathAndQuery,
    pub(crate) input: u32,
    pub(crate) output: u32,
    pub(crate) streaming: bool,
    pub(crate) shape: ErrorShape,
    pub(crate) done_marker: bool,
    /// The number of a bool field that sends the request to another RPC.
    pub(crate) switch: Option<(u32, usize)>,
}

/// One way to reach an RPC.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rpc: usize,
    /// `None` is every method.
    pub(crate) method: Option<Method>,
    pub(crate) template: Template,
    /// The template as the annotation has it.
    pub(crate) text: Arc<str>,
    pub(crate) variables: Vec<Chain>,
    pub(crate) body: BodyRule,
    pub(crate) response_body: Option<u16>,
}

/// Where a request's body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRule {
    None,
    Whole,
    Field(u16),
}

/// What [`Transcoder::lookup`] found for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The path and method reach this RPC.
    Route {
        /// Full name, `pkg.Service.Method`.
        rpc: Arc<str>,
        /// The path template as annotated, such as `/v1/jobs/{job_id}`.
        template: Arc<str>,
        /// The shape of this RPC's errors.
        errors: ErrorShape,
    },
    /// The path is known, but not with this method.
    MethodNotAllowed {
        /// The methods that it has, as the `Allow` header lists them.
        allow: String,
    },
    /// No route has this path.
    NotFound,
}

/// Added to the extensions of every request that came in over REST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    /// The method of the REST request.
    pub method: Method,
    /// The template that its path matched, such as `/v1/jobs/{job_id}`.
    pub template: Arc<str>,
    /// Full name of the RPC, `pkg.Service.Method`.
    pub rpc: Arc<str>,
}

/// Five bytes stand before every gRPC message: a flag and a length.
pub(crate) const FRAME_HEAD: usize = 5;

impl Transcoder {
    /// Starts from an encoded `google.protobuf.FileDescriptorSet` that includes
    /// imports; with source information its comments reach [`Self::openapi`].
    pub fn builder(file_descriptor_set: &[u8]) -> Builder<'_> {
        Builder::new(file_descriptor_set)
    }

    /// What a method and path (no query) lead to.
    pub fn lookup(&self, method: &Method, path: &str) -> Lookup {
        match self.inner.table.find(method, path) {
            Found::Route(route, _) => {
                let route = &self.inner.routes[route];
                let rpc = &self.inner.rpcs[route.rpc];
                Lookup::Route {
                    rpc: rpc.name.clone(),
                    template: route.text.clone(),
                    errors: rpc.shape,
                }
            }
            Found::Method(methods, _) => Lookup::MethodNotAllowed {
                allow: allow(&methods),
            },
            Found::Nothing => Lookup::NotFound,
        }
    }

    /// The wire bytes of the message `full_name` from its JSON, by the rules of
    /// request bodies. For benchmarks and fuzzing; requests go through the layer.
    ///
    /// # Errors
    /// What is wrong with the text, in one line; also when no RPC reaches a
    /// message of this name.
    pub fn json_to_wire(&self, full_name: &str, json: &str) -> Result<Vec<u8>, String> {
        let index = self.message_index(full_name)?;
        let mut out = Vec::with_capacity(json.len());
        match decode::message(&self.inner.plan, index, json, &mut out) {
            Ok(()) => Ok(out),
            Err(fault) => Err(match fault.report(json) {
                Report::Json(message) => message,
                Report::Field(field, message) => format!("{field}: {message}"),
            }),
        }
    }

    /// The JSON of the message `full_name` from its wire bytes, by the rules of
    /// response bodies. For benchmarks and fuzzing.
    ///
    /// # Errors
    /// Why the bytes are not such a message.
    pub fn wire_to_json(&self, full_name: &str, wire: &[u8]) -> Result<Vec<u8>, String> {
        let index = self.message_index(full_name)?;
        let mut out = Vec::with_capacity(json_size(wire));
        encode::message(&self.inner.plan, index, wire, &mut out)
            .map_err(|corrupt| corrupt.to_string())?;
        Ok(out)
    }

    fn message_index(&self, full_name: &str) -> Result<u32, String> {
        let messages = &self.inner.plan.messages;
        let index = messages
            .iter()
            .position(|message| *message.full_name == *full_name);
        index
            .map(|index| index as u32)
            .ok_or_else(|| format!("no RPC reaches `{full_name}`"))
    }
}

/// A first guess of the JSON's size: names and quotes about double short
/// messages, and a packed float takes about three times its four bytes.
pub(crate) fn json_size(wire: &[u8]) -> usize {
    wire.len() * 3 + 256
}

/// The value of an `Allow` header.
pub(crate) fn allow(methods: &[Method]) -> String {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.join(", ")
}

impl Inner {
    /// The framed gRPC message of a request.
    pub(crate) fn request_frame(
        &self,
        route: &Route,
        segments: &[&str],
        query: &str,
        body: &str,
    ) -> Result<Vec<u8>, Report> {
        let mut out = Vec::with_capacity(FRAME_HEAD + body.len() + 64);
        out.resize(FRAME_HEAD, 0);
        self.request_message(route, segments, query, body, &mut out)
            .map_err(|fault| fault.report(body))?;
        let length = out.len() - FRAME_HEAD;
        let Ok(length) = u32::try_from(length) else {
            return Err(Report::Field(String::new(), "it is over 4 GiB".to_owned()));
        };
        out[1..FRAME_HEAD].copy_from_slice(&length.to_be_bytes());
        Ok(out)
    }

    /// Later records win, so what is the most particular comes last: the query,
    /// then the body, then the path.
    fn request_message(
        &self,
        route: &Route,
        segments: &[&str],
        query: &str,
        body: &str,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let root = self.rpcs[route.rpc].input;
        if route.body != BodyRule::Whole {
            let bound = |chain: &[(u32, u16)]| route.binds(chain);
            bind::put_query(&self.plan, root, query, bound, out)?;
        }
        let empty = body.trim_ascii().is_empty();
        match route.body {
            BodyRule::Whole if !empty => decode::message(&self.plan, root, body, out)?,
            BodyRule::Field(field) if !empty => {
                let field = self.plan.message(root).field(field);
                decode::field(&self.plan, field, body, out)?;
            }
            _ => {}
        }
        for (variable, chain) in route.template.variables.iter().zip(&route.variables) {
            let refuse = |message: &str| Fault::field(message).in_field(&variable.field.join("."));
            let text = route.captured(variable.start, variable.end, segments);
            let text = text.ok_or_else(|| refuse("its percent escapes are not UTF-8"))?;
            bind::put(&self.plan, chain, &text, out)?;
        }
        Ok(())
    }

    /// Where the request really goes: a stream switch looks at the message.
    pub(crate) fn target(&self, route: &Route, message: &[u8]) -> usize {
        match self.rpcs[route.rpc].switch {
            Some((field, streaming)) if bool_field(message, field).unwrap_or(false) => streaming,
            _ => route.rpc,
        }
    }

    /// The JSON of a response message.
    pub(crate) fn response_json(
        &self,
        rpc: &Rpc,
        response_body: Option<u16>,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        match response_body {
            None => encode::message(&self.plan, rpc.output, message, out),
            Some(field) => encode::field(&self.plan, rpc.output, field, message, out),
        }
    }
}

impl Route {
    /// Whether the path or the body already gives this field.
    pub(crate) fn binds(&self, chain: &[(u32, u16)]) -> bool {
        let in_body = match (self.body, chain.first()) {
            (BodyRule::Field(field), Some((_, first))) => field == *first,
            (BodyRule::Whole, _) => true,
            _ => false,
        };
        in_body || self.variables.iter().any(|variable| variable == chain)
    }

    fn captured(&self, start: usize, end: usize, segments: &[&str]) -> Option<String> {
        let open_ended = self
            .template
            .segments
            .get(start..end)
            .is_some_and(|taken| taken.contains(&crate::template::Segment::DoubleStar));
        let end = if open_ended { segments.len() } else { end };
        let taken = segments.get(start..end)?;
        match taken {
            [one] if !open_ended => routes::decode(one).map(std::borrow::Cow::into_owned),
            _ => routes::decode_keeping_slashes(&taken.join("/")),
        }
    }
}

/// The last value of a bool field at the top of a message.
fn bool_field(message: &[u8], field: u32) -> Result<bool, Corrupt> {
    let mut reader = Reader::new(message);
    let mut found = false;
    while !reader.done() {
        let (number, wire) = reader.tag()?;
        if number == field && wire == WireType::Varint {
            found = reader.varint()? != 0;
        } else {
            reader.skip(number, wire)?;
        }
    }
    Ok(found)
}
