//! `signalbox ask`: one question, one answer.

use std::io::Write as _;

use signalbox_proto::router::v1::{
    ChatMessage, CompletionUsage, CreateChatCompletionRequest, RouteInfo, StreamOptions,
    router_service_client::RouterServiceClient,
};

use super::text_of;
use crate::{
    Outcome,
    client::{ServerArgs, refusal},
};

/// Ask a model and print its answer as it comes.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  signalbox ask 'Why is the sky blue?'\n  git diff | signalbox ask --system 'Review this change.' -"
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The model, or a route that chooses one.
    #[arg(long, short, default_value = "auto")]
    model: String,
    /// Instructions to the model.
    #[arg(long)]
    system: Option<String>,
    /// Most tokens to generate.
    #[arg(long)]
    max_tokens: Option<u32>,
    /// 0 (always the likeliest word) to 2.
    #[arg(long)]
    temperature: Option<f64>,
    /// The user whom the cost is booked to.
    #[arg(long, default_value = "")]
    user: String,
    /// The question; `-` reads it from standard input.
    #[arg(required = true, value_name = "QUESTION")]
    question: Vec<String>,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let message = |role: &str, content: String| ChatMessage {
        role: role.to_owned(),
        content,
        ..ChatMessage::default()
    };
    let question = message("user", text_of(&args.question)?);
    let request = CreateChatCompletionRequest {
        model: args.model,
        messages: args
            .system
            .map(|text| message("system", text))
            .into_iter()
            .chain([question])
            .collect(),
        max_completion_tokens: args.max_tokens,
        temperature: args.temperature,
        user: args.user,
        stream_options: Some(StreamOptions {
            include_usage: true,
        }),
        ..CreateChatCompletionRequest::default()
    };
    let mut client = RouterServiceClient::new(args.server.connect().await?);
    let mut answer = client
        .stream_chat_completion(request)
        .await
        .map_err(|status| refusal(&status))?
        .into_inner();
    let (mut model, mut usage, mut route) = (String::new(), None, None);
    let mut out = std::io::stdout();
    while let Some(chunk) = answer.message().await.map_err(|status| refusal(&status))? {
        for choice in &chunk.choices {
            let text = choice
                .delta
                .as_ref()
                .and_then(|delta| delta.content.as_deref())
                .unwrap_or_default();
            out.write_all(text.as_bytes())?;
        }
        out.flush()?;
        model = chunk.model;
        usage = chunk.usage.or(usage);
        route = chunk.signalbox.or(route);
    }
    writeln!(out)?;
    eprintln!(
        "\n{}",
        summary(
            &model,
            usage.unwrap_or_default(),
            &route.unwrap_or_default()
        )
    );
    Ok(())
}

fn summary(model: &str, usage: CompletionUsage, route: &RouteInfo) -> String {
    let mut line = format!(
        "{model} by {}, {} + {} tokens, {}",
        route.provider,
        usage.prompt_tokens,
        usage.completion_tokens,
        dollars(route.cost_usd_picos),
    );
    if !route.prompt_redactions.is_empty() {
        line.push_str(&format!(
            ", kept from the model: {}",
            route.prompt_redactions.join(", ")
        ));
    }
    line
}

/// Pico-dollars as dollars, exactly.
fn dollars(picos: i64) -> String {
    let digits = format!("{:013}", picos.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 12);
    let fraction = fraction.trim_end_matches('0');
    let sign = if picos < 0 { "-" } else { "" };
    format!(
        "{sign}${whole}{}{fraction}",
        if fraction.is_empty() { "" } else { "." }
    )
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn dollars_are_exact() {
        for (picos, shown) in [
            (0, "$0"),
            (2_500, "$0.0000000025"),
            (-1_500_000_000_000, "-$1.5"),
            (i64::MAX, "$9223372.036854775807"),
        ] {
            assert_eq!(dollars(picos), shown);
        }
    }
}
