//! A span says how much was found and of what type, never the text or a value.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use signalbox_guardrails::{AUDIT_TARGET, Engine, GuardrailsConfig, Selection};
use signalbox_proto::guardrails::v1::{
    RedactTextRequest, guardrails_service_client::GuardrailsServiceClient,
};
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_check_is_traced_by_counts_and_types_alone() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let engine = Engine::new(&GuardrailsConfig::default()).unwrap();
        let text = "secret bob@example.com, al@example.com from 192.0.2.1";
        engine.redact(text, &Selection::default_on()).unwrap();
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("guardrails.check"), "{log}");
    assert!(log.contains("findings=3"), "{log}");
    assert!(log.contains("EMAIL:2 IP_ADDRESS:1"), "{log}");
    for value in ["secret", "bob", "example.com", "192.0.2.1"] {
        assert!(!log.contains(value), "{log}");
    }
}

#[tokio::test]
async fn a_decision_is_logged_for_the_audit_by_hashes_alone() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let engine = Arc::new(Engine::new(&GuardrailsConfig::default()).unwrap());
    let mut client = GuardrailsServiceClient::new(signalbox_guardrails::service(engine));
    for text in ["secret bob@example.com from 192.0.2.1", "nothing"] {
        let request = RedactTextRequest {
            text: text.into(),
            policy: "gdpr".into(),
            ..RedactTextRequest::default()
        };
        client.redact_text(request).await.unwrap();
    }
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let audit: Vec<&str> = log.lines().filter(|it| it.contains(AUDIT_TARGET)).collect();
    assert_eq!(audit.len(), 2, "{log}");
    assert!(
        audit[0].contains("INFO") && audit[1].contains("DEBUG"),
        "{log}"
    );
    assert!(
        audit[0].contains("gdpr") && audit[0].contains("input.default"),
        "{log}"
    );
    for value in ["secret", "bob", "example.", "192.0.2.", "nothing"] {
        assert!(!log.contains(value), "{log}");
    }
}
