//! Mutual TLS with SPIFFE identities: who calls is known by certificate, and a policy
//! says which identity may call what.

use std::time::Instant;

use tonic::Code;

use super::{
    grpc::{answered, channel, chat, check_text, refused},
    report::Report,
    stage::{Stage, stat},
};
use anyhow::ensure;

/// Connections that the server refused, by reason.
const NO_CERTIFICATE: &str = "listener.mtls-server.ssl.fail_verify_no_cert";
const NOT_VERIFIED: &str = "listener.mtls-server.ssl.fail_verify_error";
const DENIED: &str = "http.mtls-server.rbac.denied";
/// Calls that reached the service.
const REACHED: &str = "cluster.mtls-service.upstream_rq_total";

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let caller = |listener| channel(stage.client.listener(listener)?);
    let router = caller("mtls-router")?;
    report
        .works("the-router-asks-guardrails", async {
            let begun = Instant::now();
            let measured = answered(check_text(&router, &[]).await?, begun)?;
            let handshakes = stat(&stage.server, "listener.mtls-server.ssl.handshake").await?;
            ensure!(handshakes > 0, "no TLS handshake");
            Ok(format!("{measured} over mutual TLS"))
        })
        .await;
    let reached = stat(&stage.server, REACHED).await?;
    report
        .refused("another-identity", async {
            let other = caller("mtls-other")?;
            let denied = stat(&stage.server, DENIED).await?;
            refused(check_text(&other, &[]).await?, Code::PermissionDenied)?;
            let denied = stat(&stage.server, DENIED).await? - denied;
            ensure!(denied == 1, "RBAC denied {denied} calls instead of 1");
            Ok("PERMISSION_DENIED by RBAC".to_owned())
        })
        .await;
    report
        .refused("another-service-of-the-same-server", async {
            refused(chat(&router, "steady", &[]).await?, Code::PermissionDenied)?;
            Ok("PERMISSION_DENIED by RBAC: the router's identity opens Guardrails only".to_owned())
        })
        .await;
    for (name, listener, counter) in [
        ("no-certificate", "mtls-anonymous", NO_CERTIFICATE),
        ("another-trust-domain", "mtls-foreigner", NOT_VERIFIED),
        (
            "a-stolen-name-from-another-authority",
            "mtls-impostor",
            NOT_VERIFIED,
        ),
    ] {
        report
            .refused(name, async {
                let caller = caller(listener)?;
                let before = stat(&stage.server, counter).await?;
                refused(check_text(&caller, &[]).await?, Code::Unavailable)?;
                let refusals = stat(&stage.server, counter).await? - before;
                ensure!(refusals > 0, "the server did not count it in {counter}");
                Ok(format!(
                    "UNAVAILABLE, handshakes refused: {refusals} ({counter})"
                ))
            })
            .await;
    }
    report
        .refused("plaintext", async {
            let caller = channel(stage.server.listener("mtls-server")?)?;
            let outcome = check_text(&caller, &[]).await?;
            let status = outcome.err();
            ensure!(status.is_some(), "OK instead of a closed connection");
            Ok("the connection is closed".to_owned())
        })
        .await;
    report
        .refused("a-service-that-is-not-the-one-called", async {
            let caller = caller("mtls-wrong-service")?;
            refused(check_text(&caller, &[]).await?, Code::Unavailable)?;
            let name = "cluster.mtls-wrong-service.ssl.fail_verify_san";
            let refusals = stat(&stage.client, name).await?;
            ensure!(refusals > 0, "the client did not count it in {name}");
            Ok(format!(
                "UNAVAILABLE, handshakes refused by the client: {refusals} ({name})"
            ))
        })
        .await;
    report
        .refused("nothing-of-that-reached-the-service", async {
            let more = stat(&stage.server, REACHED).await? - reached;
            ensure!(more == 0, "{more} calls reached the service");
            Ok("0 calls".to_owned())
        })
        .await;
    Ok(())
}
