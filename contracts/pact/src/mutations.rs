//! The provider broken on purpose, one thing at a time: each break must turn the
//! verification red, for the reason that it is, and nothing else may be red.

use std::{path::Path, sync::Arc};

use anyhow::ensure;
use signalbox_pact::{KEY, dynamic, metadata};
use tonic::{metadata::MetadataMap, transport::Endpoint};

use crate::{
    proxy::{Break, Proxy},
    states::States,
    verify::{self, Outcome},
};

/// A break, and what the verification must say of it.
struct Mutation {
    what: &'static str,
    broken: Break,
    /// The provider whose pacts are verified.
    provider: &'static str,
    /// In every failure.
    reason: &'static str,
}

const ROUTER: &str = "signalbox-router";
const EMBEDDINGS: &str = "signalbox-embeddings";
const GUARDRAILS: &str = "signalbox-guardrails";

const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "REST: removed field usage.total_tokens of a chat completion",
        broken: Break::JsonMemberRemoved {
            path: "/v1/chat/completions",
            pointer: "/usage/total_tokens",
        },
        provider: ROUTER,
        reason: "total_tokens",
    },
    Mutation {
        what: "REST: renamed field findings of a check to matches",
        broken: Break::JsonMemberRenamed {
            path: "/v1/guardrails:check",
            pointer: "/findings",
            to: "matches",
        },
        provider: GUARDRAILS,
        reason: "findings",
    },
    Mutation {
        what: "REST: removed member details of a google.rpc.Status",
        broken: Break::JsonMemberRemoved {
            path: "/v1/guardrails:check",
            pointer: "/details",
        },
        provider: GUARDRAILS,
        reason: "details",
    },
    Mutation {
        what: "REST: removed the stream's last event, [DONE]",
        broken: Break::TextRemoved {
            path: "/v1/chat/completions",
            text: "data: [DONE]\n\n",
        },
        provider: ROUTER,
        reason: "DONE",
    },
    Mutation {
        what: "REST: changed status 429 of a limited provider to 503",
        broken: Break::HttpStatus {
            path: "/v1/chat/completions",
            from: 429,
            to: 503,
        },
        provider: ROUTER,
        reason: "503",
    },
    Mutation {
        what: "REST: changed status 200 of embeddings to 202",
        broken: Break::HttpStatus {
            path: "/v1/embeddings",
            from: 200,
            to: 202,
        },
        provider: EMBEDDINGS,
        reason: "202",
    },
    Mutation {
        what: "REST: renamed path /v1/models",
        broken: Break::PathRenamed { path: "/v1/models" },
        provider: ROUTER,
        reason: "404",
    },
    Mutation {
        what: "gRPC: removed field findings of CheckTextResponse",
        broken: Break::FieldRemoved {
            method: "signalbox.guardrails.v1.GuardrailsService/CheckText",
            field: "findings",
        },
        provider: GUARDRAILS,
        reason: "findings",
    },
    Mutation {
        what: "gRPC: removed field usage of every ChatCompletionChunk of a stream",
        broken: Break::FieldRemoved {
            method: "signalbox.router.v1.RouterService/StreamChatCompletion",
            field: "usage",
        },
        provider: ROUTER,
        reason: "usage",
    },
    Mutation {
        what: "gRPC: changed status NOT_FOUND of an unknown model to INTERNAL",
        broken: Break::GrpcStatus {
            method: "signalbox.router.v1.RouterService/CreateChatCompletion",
            from: "5",
            to: "13",
        },
        provider: ROUTER,
        reason: "INTERNAL",
    },
    Mutation {
        what: "gRPC: renamed method CreateEmbeddings",
        broken: Break::PathRenamed {
            path: "/signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddings",
        },
        provider: EMBEDDINGS,
        reason: "UNIMPLEMENTED",
    },
];

/// Verifies the pacts in this folder behind every break, and behind none.
pub(crate) async fn run(folder: &Path, address: &str) -> anyhow::Result<()> {
    let states = Arc::new(States::new(address));
    let mut key = MetadataMap::new();
    key.insert(metadata::AUTHORIZATION, format!("Bearer {KEY}").parse()?);
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
    let pool = dynamic::reflect(channel, &key).await?;

    let behind = async |broken: Break, providers: &[String]| -> anyhow::Result<Vec<Outcome>> {
        let proxy = Proxy::start(address, pool.clone(), broken).await?;
        let files = verify::files(folder, providers)?;
        verify::verify(&files, &proxy.address, &states).await
    };

    println!("the provider behind a proxy that breaks one thing, and must turn pacts red:");
    let outcomes = behind(Break::Nothing, &[]).await?;
    let red = verify::failures(&outcomes);
    ensure!(red.is_empty(), "behind a proxy that breaks nothing:\n{red}");
    println!(
        "  green as it must be: nothing broken, {} interactions",
        outcomes.len()
    );
    let mut missed = Vec::new();
    for Mutation {
        what,
        broken,
        provider,
        reason,
    } in MUTATIONS
    {
        let outcomes = behind(*broken, &[(*provider).to_owned()]).await?;
        let red: Vec<(&Outcome, &String)> = (outcomes.iter())
            .filter_map(|o| o.failure.as_ref().map(|failure| (o, failure)))
            .collect();
        if red.is_empty() {
            println!("  GREEN, BUT MUST BE RED: {what}");
            missed.push(*what);
        } else if let Some((other, why)) = red.iter().find(|(_, f)| !f.contains(reason)) {
            println!(
                "  RED FOR ANOTHER REASON: {what}\n    {}, {}: {why}",
                other.consumer, other.interaction
            );
            missed.push(*what);
        } else {
            let mut consumers: Vec<&str> = red.iter().map(|(o, _)| o.consumer.as_str()).collect();
            consumers.dedup();
            println!(
                "  red as it must be: {what} ({} of {} interactions: {})",
                red.len(),
                outcomes.len(),
                consumers.join(", ")
            );
        }
    }
    ensure!(
        missed.is_empty(),
        "{} breaks were not seen as what they are",
        missed.len()
    );
    println!("  {} breaks, all seen", MUTATIONS.len());
    Ok(())
}
