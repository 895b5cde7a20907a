//! A provider that is broken on purpose: the real one behind a reverse proxy, HTTP/1.1
//! and gRPC over cleartext HTTP/2, that changes one thing. It shows that the verification
//! sees such a break; a break of the source itself is `tools/checks/pact_mutation.sh`.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{Router, body::Body, extract::State};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use signalbox_pact::dynamic;
use tokio::{net::TcpListener, task::JoinHandle};

/// The one thing that the proxy changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Break {
    /// Nothing: shows that it is not the proxy itself that turns pacts red.
    Nothing,
    /// The member at this JSON pointer is missing from the answers of a path.
    JsonMemberRemoved {
        path: &'static str,
        pointer: &'static str,
    },
    /// It is there under another name.
    JsonMemberRenamed {
        path: &'static str,
        pointer: &'static str,
        to: &'static str,
    },
    /// This text is missing from the answers of a path.
    TextRemoved {
        path: &'static str,
        text: &'static str,
    },
    /// Answers of a path that had one HTTP status have another.
    HttpStatus {
        path: &'static str,
        from: u16,
        to: u16,
    },
    /// The path (of REST, or `/package.Service/Method`) exists under another name only.
    PathRenamed { path: &'static str },
    /// A field of the first level is missing from the messages of a method.
    FieldRemoved {
        method: &'static str,
        field: &'static str,
    },
    /// Calls of a method that ended with one gRPC status end with another.
    GrpcStatus {
        method: &'static str,
        from: &'static str,
        to: &'static str,
    },
}

/// A running proxy; ended on drop.
pub(crate) struct Proxy {
    pub(crate) address: String,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    upstream: String,
    http1: Client<HttpConnector, Full<Bytes>>,
    http2: Client<HttpConnector, Full<Bytes>>,
    pool: DescriptorPool,
    broken: Break,
}

impl Proxy {
    /// Stands before `upstream` (`HOST:PORT`); `pool` has the descriptors of its methods.
    pub(crate) async fn start(
        upstream: &str,
        pool: DescriptorPool,
        broken: Break,
    ) -> anyhow::Result<Self> {
        let client = || Client::builder(TokioExecutor::new());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            http1: client().build(HttpConnector::new()),
            http2: client().http2_only(true).build(HttpConnector::new()),
            pool,
            broken,
        });
        let app = Router::new().fallback(pass).with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let task = tokio::spawn(async move {
            // Serves until aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, task })
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    match shared.forward(request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Body::from(format!("proxy: {error:#}")));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

impl Shared {
    async fn forward(&self, request: Request<Body>) -> anyhow::Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = body.collect().await?.to_bytes();
        let mut target = parts
            .uri
            .path_and_query()
            .map_or("/", |p| p.as_str())
            .to_owned();
        if matches!(self.broken, Break::PathRenamed { path: renamed } if renamed == path) {
            target = target.replacen(&path, &format!("{path}Renamed"), 1);
        }
        parts.uri = Uri::try_from(format!("http://{}{target}", self.upstream))?;
        let client = if parts.version == Version::HTTP_2 {
            &self.http2
        } else {
            &self.http1
        };
        parts.headers.remove(header::HOST);
        let answer = client
            .request(Request::from_parts(parts, Full::new(body)))
            .await?;

        let (mut parts, body) = answer.into_parts();
        let body = body.collect().await?;
        let mut trailers = body.trailers().cloned();
        let body = self.answer_body(&path, body.to_bytes())?;
        self.answer_status(&path, &mut parts, trailers.as_mut())?;
        // It may have another length now.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.version = Version::default();
        let body = match trailers {
            Some(trailers) => {
                Body::new(Full::new(body).with_trailers(async move { Some(Ok(trailers)) }))
            }
            None => Body::from(body),
        };
        Ok(Response::from_parts(parts, body))
    }

    fn answer_body(&self, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        match self.broken {
            Break::JsonMemberRemoved { path: of, pointer } if of == path => {
                without_member(&body, pointer, None)
            }
            Break::JsonMemberRenamed {
                path: of,
                pointer,
                to,
            } if of == path => without_member(&body, pointer, Some(to)),
            Break::TextRemoved { path: of, text } if of == path => {
                Ok(String::from_utf8(body.to_vec())?.replace(text, "").into())
            }
            Break::FieldRemoved { method, field } if path.strip_prefix('/') == Some(method) => {
                self.without_field(&body, method, field)
            }
            _ => Ok(body),
        }
    }

    fn answer_status(
        &self,
        path: &str,
        parts: &mut http::response::Parts,
        trailers: Option<&mut HeaderMap>,
    ) -> anyhow::Result<()> {
        match self.broken {
            Break::HttpStatus { path: of, from, to }
                if of == path && parts.status.as_u16() == from =>
            {
                parts.status = StatusCode::from_u16(to)?;
            }
            Break::GrpcStatus { method, from, to } if path.strip_prefix('/') == Some(method) => {
                // An error without a message has its status in the headers.
                let maps = std::iter::once(&mut parts.headers).chain(trailers);
                for map in maps {
                    if map.get("grpc-status").is_some_and(|status| status == from) {
                        map.insert("grpc-status", HeaderValue::from_static(to));
                        // It repeats the code.
                        map.remove("grpc-status-details-bin");
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Every message of a gRPC body without one of its fields.
    fn without_field(&self, body: &[u8], method: &str, field: &str) -> anyhow::Result<Bytes> {
        let output = dynamic::method(&self.pool, method)?.output();
        let field = output
            .get_field_by_name(field)
            .with_context(|| format!("{} has no field {field}", output.full_name()))?;
        let mut rest = body;
        let mut out = BytesMut::new();
        while rest.has_remaining() {
            let compressed = rest.try_get_u8()?;
            anyhow::ensure!(compressed == 0, "a compressed message");
            let length = usize::try_from(rest.try_get_u32()?)?;
            let (message, others) = rest.split_at_checked(length).context("a cut message")?;
            rest = others;
            let mut message = DynamicMessage::decode(output.clone(), message)?;
            message.clear_field(&field);
            let message = message.encode_to_vec();
            out.put_u8(0);
            out.put_u32(u32::try_from(message.len())?);
            out.put_slice(&message);
        }
        Ok(out.freeze())
    }
}

/// The JSON without the member at `pointer`, or with it under another name. A stream of
/// events on the same path stays as it is.
fn without_member(body: &Bytes, pointer: &str, renamed: Option<&str>) -> anyhow::Result<Bytes> {
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else {
        return Ok(body.clone());
    };
    let (parent, name) = pointer.rsplit_once('/').context("a JSON pointer")?;
    if let Some(Value::Object(members)) = json.pointer_mut(parent)
        && let Some(value) = members.remove(name)
        && let Some(to) = renamed
    {
        members.insert(to.to_owned(), value);
    }
    Ok(json.to_string().into())
}
