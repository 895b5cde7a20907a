//! JSON Web Tokens: who calls is known by a signed token, and a claim in it says what
//! the caller may call.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use http_body_util::Full;
use hyper::{Request, StatusCode, body::Bytes, header};
use serde_json::json;
use tonic::{Code, transport::Channel};

use super::{
    grpc::{answered, channel, check_text, refused},
    report::Report,
    stage::Stage,
    token::{self, KEYS, claims, now},
};
use crate::web;

const SUBJECT: &str = "x-signalbox-subject";

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let address = stage.server.listener("jwt")?;
    let caller = channel(address)?;
    for (index, key) in KEYS.iter().enumerate() {
        report
            .works(&format!("a-token-of-the-{key}-key"), async {
                let token = stage.tokens.sign(index, &claims(json!({})))?;
                let begun = Instant::now();
                answered(with(&caller, &token).await?, begun)
            })
            .await;
    }
    report
        .works("the-claim-is-forwarded", async {
            let token = stage.tokens.sign(0, &claims(json!({})))?;
            let (status, _) = rest(address, Some(&token)).await?;
            ensure!(status == StatusCode::OK, "REST answers {status}");
            let records = stage.upstream.records();
            let seen = records.iter().rfind(|record| record.path == "/v1/models");
            let seen = seen
                .context("the call did not arrive")?
                .headers
                .get(SUBJECT);
            ensure!(
                seen.is_some_and(|subject| subject == "ada"),
                "the service saw {SUBJECT}: {seen:?}"
            );
            Ok(format!(
                "the service saw {SUBJECT}: ada; the caller had written root there"
            ))
        })
        .await;

    report
        .refused("no-token", async {
            refused(check_text(&caller, &[]).await?, Code::Unauthenticated)?;
            let (status, challenge) = rest(address, None).await?;
            ensure!(status == StatusCode::UNAUTHORIZED, "REST answers {status}");
            let challenge = challenge.context("no www-authenticate")?;
            Ok(format!(
                "UNAUTHENTICATED; over REST 401, www-authenticate: {challenge}"
            ))
        })
        .await;
    let stranger = token::TokenIssuer::new()?;
    let sign = |over| stage.tokens.sign(0, &claims(over));
    for (name, token, code) in [
        (
            "expired",
            sign(json!({"exp": now() - 3600}))?,
            Code::Unauthenticated,
        ),
        (
            "no-expiry",
            sign(json!({"exp": null}))?,
            Code::Unauthenticated,
        ),
        (
            "not-yet-valid",
            sign(json!({"nbf": now() + 3600}))?,
            Code::Unauthenticated,
        ),
        (
            "another-issuer",
            sign(json!({"iss": "https://elsewhere.test"}))?,
            Code::Unauthenticated,
        ),
        // Envoy's choice: the token is genuine, but not for here.
        (
            "another-audience",
            sign(json!({"aud": "elsewhere"}))?,
            Code::PermissionDenied,
        ),
        (
            "another-signer",
            stranger.sign(0, &claims(json!({})))?,
            Code::Unauthenticated,
        ),
        (
            "no-signature",
            token::unsigned(&claims(json!({}))),
            Code::Unauthenticated,
        ),
        (
            "claim-without-the-role",
            sign(json!({"roles": ["reader"]}))?,
            Code::PermissionDenied,
        ),
        (
            "no-claim",
            sign(json!({"roles": null}))?,
            Code::PermissionDenied,
        ),
    ] {
        report
            .refused(name, async {
                let status = refused(with(&caller, &token).await?, code)?;
                Ok(format!("{code:?}, \"{}\"", status.message()))
            })
            .await;
    }
    Ok(())
}

async fn with(
    caller: &Channel,
    token: &str,
) -> anyhow::Result<Result<impl Sized + use<>, tonic::Status>> {
    check_text(caller, &[("authorization", &format!("Bearer {token}"))]).await
}

/// A REST call that also claims to be somebody; its status and challenge.
async fn rest(address: &str, token: Option<&str>) -> anyhow::Result<(StatusCode, Option<String>)> {
    let mut request = Request::get("/v1/models").header(SUBJECT, "root");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = web::send(address, request.body(Full::<Bytes>::default())?).await?;
    let challenge = answer.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge.and_then(|value| value.to_str().ok());
    Ok((answer.status(), challenge.map(str::to_owned)))
}
