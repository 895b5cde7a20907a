//! Log lines as JSON objects that carry the ids of the trace and the span, so
//! that a line leads to its trace.

use std::fmt;

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormattedFields, format::JsonFields, format::Writer},
    registry::LookupSpan,
};

/// Fields of the request's span that every line under it repeats.
const REPEATED: [&str; 2] = ["request_id", "rpc.method"];

/// Formats one event as one JSON object.
pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        event.record(&mut Fields(&mut line));
        // After the event's own fields: one of the same name must not take their place.
        line.insert("time".to_owned(), now().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        if let Some(scope) = context.event_scope() {
            for span in scope {
                let extensions = span.extensions();
                let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() else {
                    continue;
                };
                let Ok(Value::Object(fields)) = serde_json::from_str(fields) else {
                    continue;
                };
                for name in REPEATED {
                    if let Some(value) = fields.get(name) {
                        line.entry(name).or_insert_with(|| value.clone());
                    }
                }
            }
        }
        if let Some(span) = context.lookup_current() {
            let otel =
                tracing::dispatcher::get_default(|dispatch| get_otel_context(&span.id(), dispatch));
            if let Some(otel) = otel {
                let ids = otel.span().span_context().clone();
                if ids.is_valid() {
                    line.insert("trace_id".to_owned(), ids.trace_id().to_string().into());
                    line.insert("span_id".to_owned(), ids.span_id().to_string().into());
                }
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// RFC 3339 in UTC with microseconds.
fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(say: impl FnOnce()) -> Value {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, say);
        let bytes = sink.0.lock().unwrap();
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn lines_repeat_the_requests_fields_and_nothing_else_of_its_spans() {
        let line = line(|| {
            let outer = tracing::info_span!("rpc", request_id = "r-1", prompt = "secret");
            let _outer = outer.enter();
            let inner = tracing::info_span!("work", request_id = "r-2", part = 3);
            let _inner = inner.enter();
            tracing::info!(count = 7, "two\nlines");
        });
        assert_eq!(line["request_id"], "r-2");
        assert_eq!(
            (&line["count"], &line["message"]),
            (&7.into(), &"two\nlines".into())
        );
        assert_eq!((line.get("prompt"), line.get("part")), (None, None));
    }

    #[test]
    fn no_field_takes_the_place_of_the_lines_own_or_breaks_it() {
        let line = line(|| {
            tracing::warn!(
                level = "none",
                time = 1,
                target = "x",
                ratio = f64::NAN,
                "odd"
            );
        });
        assert_eq!(line["level"], "WARN");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
        assert!(line["target"].as_str().unwrap().contains("logs"));
        assert_eq!(line["ratio"], Value::Null);
    }
}
