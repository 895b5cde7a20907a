//! What `signalbox up` says when it is ready: lines to copy.

use std::{fmt::Write as _, time::Duration};

/// The lines, `url` being where the server is.
pub(crate) fn banner(url: &str, took: Duration) -> String {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let plain = if url.starts_with("http://") {
        "-plaintext "
    } else {
        ""
    };
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Signalbox is ready at {url} ({:.2} s)\n",
        took.as_secs_f64()
    );
    let _ = writeln!(
        text,
        "  curl -N {url}/v1/chat/completions -H 'content-type: application/json' \\\n    \
         -d '{{\"model\":\"auto\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Why is the sky blue?\"}}]}}'\n"
    );
    let _ = writeln!(
        text,
        "  grpcurl {plain}-d '{{\"text\":\"Mail ada@example.com\"}}' {address} \\\n    \
         signalbox.guardrails.v1.GuardrailsService/RedactText\n"
    );
    let _ = writeln!(
        text,
        "  python3 -c 'from openai import OpenAI; c = OpenAI(base_url=\"{url}/v1\", api_key=\"none\")\n\
         print(c.embeddings.create(model=\"all-MiniLM-L6-v2\", input=\"a red bicycle\").data[0].embedding[:4])'\n"
    );
    let _ = writeln!(
        text,
        "  {url}/openapi.json   {url}/metrics   Ctrl-C to stop"
    );
    text
}
