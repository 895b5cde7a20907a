//! An `OpenAPI` 3.1 description of what the layer serves.
//!
//! Made from the same plan that serves requests, so that the two cannot part;
//! words come from the comments of the `.proto` files.

mod comments;
mod schemas;

use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    bind,
    plan::Card,
    render::ErrorShape,
    transcoder::{BodyRule, Inner, Route, Rpc, Transcoder},
};
use comments::Comments;
use schemas::Schemas;

/// What the description says of the API as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The API's name.
    pub title: String,
    /// The API's version.
    pub version: String,
    /// What it is for, in Markdown.
    pub description: String,
}

impl Transcoder {
    /// The `OpenAPI` 3.1 document of all routes. Its operation ids are stable: the
    /// service and method, and a number for an RPC's further routes.
    pub fn openapi(&self, info: &Info) -> Value {
        let comments = Comments::read(&self.inner.pool);
        let mut document = Document {
            inner: &self.inner,
            schemas: Schemas::new(&self.inner, &comments),
            comments: &comments,
        };
        let mut paths = Map::new();
        let mut tags: Vec<&str> = Vec::new();
        for (index, route) in self.inner.routes.iter().enumerate() {
            let (operation, service) = document.operation(index, route);
            if !tags.contains(&service) {
                tags.push(service);
            }
            let path = paths
                .entry(route.template.open_api_path())
                .or_insert_with(|| json!({}));
            for method in methods(route) {
                path[method] = operation.clone();
            }
        }
        let tags: Vec<Value> = tags
            .into_iter()
            .map(|service| {
                let text = comments.of(service).unwrap_or_default();
                json!({"name": short(service), "description": text})
            })
            .collect();
        let mut schemas = document.schemas.finish();
        schemas.insert("OpenAiError".to_owned(), open_ai_error());
        schemas.insert("RpcStatus".to_owned(), rpc_status());
        json!({
            "openapi": "3.1.0",
            "info": {"title": info.title, "version": info.version, "description": info.description},
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": {
                    "OpenAiError": error_response("OpenAiError"),
                    "RpcStatus": error_response("RpcStatus"),
                },
            },
        })
    }
}

struct Document<'t> {
    inner: &'t Inner,
    schemas: Schemas<'t>,
    comments: &'t Comments,
}

impl<'t> Document<'t> {
    /// The operation of a route, and the full name of its service.
    fn operation(&mut self, index: usize, route: &Route) -> (Value, &'t str) {
        let rpc: &'t Rpc = &self.inner.rpcs[route.rpc];
        let (service, method) = rpc.name.rsplit_once('.').unwrap_or(("", &rpc.name));
        let earlier = self.inner.routes[..index]
            .iter()
            .filter(|other| other.rpc == route.rpc)
            .count();
        let number = if earlier == 0 {
            String::new()
        } else {
            format!("_{}", earlier + 1)
        };
        let text = self.comments.of(&rpc.name).unwrap_or_default();
        let (summary, description) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut operation = json!({
            "operationId": format!("{}_{method}{number}", short(service)),
            "tags": [short(service)],
            "summary": summary.replace('\n', " "),
            "responses": self.responses(route, rpc),
        });
        if !description.is_empty() {
            operation["description"] = description.into();
        }
        let parameters = self.parameters(route, rpc);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        let body = match route.body {
            BodyRule::None => None,
            BodyRule::Whole => Some((self.schemas.reference(rpc.input), true)),
            BodyRule::Field(field) => {
                let field = self.inner.plan.message(rpc.input).field(field);
                Some((self.schemas.field(rpc.input, field), false))
            }
        };
        if let Some((schema, required)) = body {
            operation["requestBody"] = json!({
                "required": required,
                "content": {"application/json": {"schema": schema}},
            });
        }
        (operation, service)
    }

    fn parameters(&mut self, route: &Route, rpc: &Rpc) -> Vec<Value> {
        let plan = &self.inner.plan;
        let mut parameters = Vec::new();
        let timeout =
            "How long the caller waits: seconds such as `1.5`, or with a unit such as `500ms`.";
        for (variable, chain) in route.template.variables.iter().zip(&route.variables) {
            let Some(&(message, field)) = chain.last() else {
                continue;
            };
            parameters.push(json!({
                "name": variable.field.join("."),
                "in": "path",
                "required": true,
                "description": self.description(message, field),
                "schema": self.schemas.plain(plan.message(message).field(field).kind),
            }));
        }
        if route.body != BodyRule::Whole {
            for (name, chain) in bind::query_fields(plan, rpc.input) {
                let Some(&(message, field)) = chain.last() else {
                    continue;
                };
                if route.binds(&chain) {
                    continue;
                }
                let description = self.description(message, field);
                let field = plan.message(message).field(field);
                let mut schema = self.schemas.plain(field.kind);
                if matches!(field.card, Card::List { .. }) {
                    schema = json!({"type": "array", "items": schema});
                }
                parameters.push(json!({
                    "name": name, "in": "query", "description": description, "schema": schema,
                }));
            }
        }
        parameters.push(json!({
            "name": "X-Request-Timeout", "in": "header", "description": timeout,
            "schema": {"type": "string"},
        }));
        parameters
    }

    fn description(&self, message: u32, field: u16) -> String {
        let message = self.inner.plan.message(message);
        let name = format!("{}.{}", message.full_name, message.field(field).name);
        self.comments.of(&name).unwrap_or_default().to_owned()
    }

    fn responses(&mut self, route: &Route, rpc: &Rpc) -> Value {
        let mut content = Map::new();
        let description = self.answer(route, rpc, &mut content);
        if let Some((_, streaming)) = rpc.switch {
            self.answer(route, &self.inner.rpcs[streaming], &mut content);
        }
        let errors = match rpc.shape {
            ErrorShape::OpenAi => "OpenAiError",
            ErrorShape::GoogleRpc => "RpcStatus",
        };
        json!({
            "200": {"description": description, "content": content},
            "default": {"$ref": format!("#/components/responses/{errors}")},
        })
    }

    /// Adds an RPC's answers by media type, and says what they are.
    fn answer(&mut self, route: &Route, rpc: &Rpc, content: &mut Map<String, Value>) -> String {
        let plan = &self.inner.plan;
        let message = plan.message(rpc.output);
        let schema = match route.response_body {
            Some(field) => self.schemas.field(rpc.output, message.field(field)),
            None => self.schemas.reference(rpc.output),
        };
        let text = self
            .comments
            .of(&message.full_name)
            .unwrap_or("The answer.");
        let text = text.replace('\n', " ");
        if !rpc.streaming {
            content.insert("application/json".to_owned(), json!({"schema": schema}));
            return text;
        }
        let done = if rpc.done_marker {
            " The last one is `data: [DONE]`."
        } else {
            ""
        };
        let events = format!("Server-sent events; the `data` of each is this object.{done}");
        let events = json!({"type": "string", "description": events, "contentMediaType": "text/event-stream", "contentSchema": schema});
        content.insert("text/event-stream".to_owned(), json!({"schema": events}));
        if !rpc.done_marker {
            let lines = "One JSON object a line.";
            let lines = json!({"type": "string", "description": lines, "contentMediaType": "application/x-ndjson", "contentSchema": schema});
            content.insert("application/x-ndjson".to_owned(), json!({"schema": lines}));
        }
        text
    }
}

/// The keys of a path item that a route stands under.
fn methods(route: &Route) -> Vec<String> {
    const KNOWN: [Method; 8] = [
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::OPTIONS,
        Method::HEAD,
        Method::PATCH,
        Method::TRACE,
    ];
    match &route.method {
        // A path item has no key for every method, nor for methods of one's own.
        None => vec!["post".to_owned()],
        Some(method) if KNOWN.contains(method) => vec![method.as_str().to_lowercase()],
        Some(_) => Vec::new(),
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn error_response(schema: &str) -> Value {
    json!({
        "description": "An error.",
        "headers": {
            "Retry-After": {
                "description": "Seconds to wait before another try, where one may help.",
                "schema": {"type": "integer"},
            },
        },
        "content": {
            "application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}},
        },
    })
}

fn open_ai_error() -> Value {
    json!({
        "type": "object",
        "description": "An error in OpenAI's shape.",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string", "description": "The kind, such as `invalid_request_error`."},
                "code": {"type": "string", "description": "The reason, such as `invalid_field`."},
                "param": {"type": ["string", "null"], "description": "The field that is wrong."},
            },
        }},
    })
}

fn rpc_status() -> Value {
    json!({
        "type": "object",
        "description": "An error as google.rpc.Status.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "description": "The gRPC code."},
            "message": {"type": "string"},
            "details": {
                "type": "array",
                "description": "google.rpc details, such as ErrorInfo, BadRequest and RetryInfo.",
                "items": {
                    "type": "object",
                    "required": ["@type"],
                    "properties": {"@type": {"type": "string"}},
                    "additionalProperties": true,
                },
            },
        },
    })
}
