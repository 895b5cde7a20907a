//! The rows of `rpcs.json`, each through tonic's client and messages that are made from
//! the generated descriptors: an RPC that is added needs no code here.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde::Deserialize;
use serde_json::Value;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::{Report, Server};
use crate::{
    client::{Failure, policy},
    generated,
};

/// One row: what is sent, and what must come back.
#[derive(Deserialize)]
struct Row {
    rpc: String,
    kind: String,
    status: String,
    request: Option<Value>,
    requests: Option<Vec<Value>>,
    expect: Option<Value>,
}

/// `rpcs.json`.
#[derive(Deserialize)]
pub(super) struct Table {
    rpcs: Vec<Row>,
}

impl Table {
    pub(super) fn read(path: &str) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
        serde_json::from_str(&text).with_context(|| path.to_owned())
    }
}

pub(super) async fn run(server: &Server, table: &Table, older: bool, report: &mut Report) {
    let methods = match methods() {
        Ok(methods) => methods,
        Err(error) => return report.case(server.name, "unary", "descriptors", Err(error)),
    };
    for row in &table.rpcs {
        let name = short(&row.rpc);
        match methods.get(&row.rpc) {
            None if older => report.skipped += 1,
            None => {
                let error = anyhow::anyhow!("the contract has no such RPC");
                report.case(server.name, "unary", &name, Err(error));
            }
            Some(method) => match group(row, method) {
                Ok(group) => {
                    let result = run_row(server, row, method).await;
                    report.case(server.name, group, &name, result);
                }
                Err(error) => report.case(server.name, "unary", &name, Err(error)),
            },
        }
    }
    for rpc in methods.keys() {
        if !table.rpcs.iter().any(|row| row.rpc == *rpc) {
            let error = anyhow::anyhow!("rpcs.json has no row of this RPC; add one");
            report.case(server.name, "unary", &short(rpc), Err(error));
        }
    }
}

/// All RPCs of the contract by `package.Service/Method`.
fn methods() -> anyhow::Result<BTreeMap<String, MethodDescriptor>> {
    let pool = DescriptorPool::decode(generated::DESCRIPTORS)?;
    let all = pool.services().flat_map(|service| {
        let name = service.full_name().to_owned();
        let methods: Vec<_> = service.methods().collect();
        (methods.into_iter()).map(move |method| (format!("{name}/{}", method.name()), method))
    });
    Ok(all.collect())
}

/// `RouterService.ListModels` of `signalbox.router.v1.RouterService/ListModels`.
fn short(rpc: &str) -> String {
    let (service, method) = rpc.split_once('/').unwrap_or((rpc, ""));
    let service = service.rsplit('.').next().unwrap_or(service);
    format!("{service}.{method}")
}

/// What a row shows, once its kind is the contract's.
fn group(row: &Row, method: &MethodDescriptor) -> anyhow::Result<&'static str> {
    let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => "unary",
        (false, true) => "server_stream",
        (true, true) => "bidirectional",
        (true, false) => "client_stream",
    };
    ensure!(
        row.kind == kind,
        "the row says {}, the contract {kind}",
        row.kind
    );
    Ok(if row.status == "UNIMPLEMENTED" {
        "unimplemented"
    } else {
        kind
    })
}

async fn run_row(server: &Server, row: &Row, method: &MethodDescriptor) -> anyhow::Result<()> {
    match call(server, row, method).await? {
        Err(status) => {
            let failure = Failure::from(status.clone());
            let code = policy::name(failure.code);
            ensure!(
                code == row.status,
                "{code} ({}) instead of {}",
                status.message(),
                row.status
            );
            if code == "UNIMPLEMENTED" {
                ensure!(
                    failure.reason == "NOT_IMPLEMENTED",
                    "the reason is `{}`",
                    failure.reason
                );
            }
            Ok(())
        }
        Ok(answers) => {
            ensure!(row.status == "OK", "OK instead of {}", row.status);
            let Some(expected) = &row.expect else {
                return Ok(());
            };
            let first = answers.first().context("no answer")?;
            let options = SerializeOptions::new()
                .use_proto_field_name(true)
                .skip_default_fields(false);
            let got = first.serialize_with_options(serde_json::value::Serializer, &options)?;
            holds(&got, expected, "$")
        }
    }
}

/// Makes the call and reads its answer to the end.
async fn call(
    server: &Server,
    row: &Row,
    method: &MethodDescriptor,
) -> anyhow::Result<Result<Vec<DynamicMessage>, Status>> {
    let one = || {
        row.request
            .clone()
            .unwrap_or_else(|| Value::Object(Default::default()))
    };
    let values = row.requests.clone().unwrap_or_else(|| vec![one()]);
    let messages: Result<Vec<_>, _> = (values.into_iter())
        .map(|value| DynamicMessage::deserialize(method.input(), value))
        .collect();
    let messages = messages.with_context(|| format!("no {}", method.input().full_name()))?;
    let path = format!("/{}", row.rpc).try_into()?;
    let codec = Dynamic(method.output());
    let mut grpc = Grpc::new(server.client.calls());
    grpc.ready().await?;
    if !method.is_server_streaming() && !method.is_client_streaming() {
        let message = messages.into_iter().next().context("a request")?;
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_secs(30));
        let answer = grpc.unary(request, path, codec).await;
        return Ok(answer.map(|answer| vec![answer.into_inner()]));
    }
    let mut request = Request::new(tokio_stream::iter(messages));
    request.set_timeout(Duration::from_secs(30));
    let stream = match grpc.streaming(request, path, codec).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    let answers: Vec<Result<_, _>> = stream.collect().await;
    Ok(answers.into_iter().collect())
}

/// Whether `expected` is found in `got`; lists element by element, as long as it has
/// them.
fn holds(got: &Value, expected: &Value, at: &str) -> anyhow::Result<()> {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            for (key, expected) in expected {
                let got = got
                    .get(key)
                    .with_context(|| format!("{at}.{key} is missing"))?;
                holds(got, expected, &format!("{at}.{key}"))?;
            }
        }
        (Value::Array(got), Value::Array(expected)) => {
            for (index, expected) in expected.iter().enumerate() {
                let got = got
                    .get(index)
                    .with_context(|| format!("{at}[{index}] is missing"))?;
                holds(got, expected, &format!("{at}[{index}]"))?;
            }
        }
        (got, expected) if got == expected => {}
        (got, expected) => bail!("{at} is {got} instead of {expected}"),
    }
    Ok(())
}

/// Messages of types that are known only here, at run time.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Encoding;
    type Decoder = Decoding;

    fn encoder(&mut self) -> Encoding {
        Encoding
    }

    fn decoder(&mut self) -> Decoding {
        Decoding(self.0.clone())
    }
}

struct Encoding;

impl Encoder for Encoding {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(
        &mut self,
        message: DynamicMessage,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        message
            .encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

struct Decoding(MessageDescriptor);

impl Decoder for Decoding {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), buffer)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
