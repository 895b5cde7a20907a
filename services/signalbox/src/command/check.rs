//! `signalbox check`: what a text gives away.

use std::io::Write as _;

use signalbox_proto::guardrails::v1::{
    Finding, RedactTextRequest, guardrails_service_client::GuardrailsServiceClient,
};

use super::text_of;
use crate::{
    Outcome,
    client::{ServerArgs, refusal},
};

/// Find and redact personal data in a text. The redacted text goes to standard
/// output, the findings to standard error.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  signalbox check 'Mail ada@example.com or call (415) 555-2671'\n  signalbox check - < letter.txt > redacted.txt"
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Only these detectors; all that are on by default otherwise.
    #[arg(long, short, value_name = "NAME")]
    detector: Vec<String>,
    /// The text; `-` reads it from standard input.
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let request = RedactTextRequest {
        text: text_of(&args.text)?,
        detectors: args.detector,
        ..RedactTextRequest::default()
    };
    let mut client = GuardrailsServiceClient::new(args.server.connect().await?)
        .max_decoding_message_size(64 << 20);
    let response = client
        .redact_text(request)
        .await
        .map_err(|status| refusal(&status))?
        .into_inner();
    let mut out = std::io::stdout();
    out.write_all(response.text.as_bytes())?;
    if !response.text.ends_with('\n') {
        writeln!(out)?;
    }
    eprintln!("\n{} found", response.findings.len());
    for finding in &response.findings {
        eprintln!("{}", line(finding));
    }
    Ok(())
}

fn line(finding: &Finding) -> String {
    format!(
        "  {:<12} characters {}-{}  score {:.2}  {}",
        finding.r#type,
        finding.start_char,
        finding.end_char,
        finding.score,
        finding.reasons.join(", "),
    )
}
