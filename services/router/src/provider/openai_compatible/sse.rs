//! Server-sent events, as far as `OpenAI`'s API uses them: the `data` of each event.
//! Follows the event stream format of the HTML Living Standard, section 9.2.
//!
//! Bytes come in any pieces; lines and events are bounded, since an upstream is not
//! trusted to end one.

/// Most bytes of one event, its unfinished line included.
pub(super) const MAX_EVENT_BYTES: usize = 1 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A stream that is no event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SseError {
    /// The bound is exceeded.
    #[error("an event is longer than {MAX_EVENT_BYTES} bytes")]
    TooLong,
    /// An event is not UTF-8.
    #[error("an event is not UTF-8")]
    NotUtf8,
}

/// Finds events in a stream of bytes.
#[derive(Default)]
pub(super) struct SseParser {
    line: Vec<u8>,
    /// The lines of `data` so far, each followed by a line feed.
    data: Vec<u8>,
    after_first_line: bool,
    /// A carriage return ended the last line; a line feed right after belongs to it.
    after_cr: bool,
}

impl SseParser {
    /// Adds bytes and takes the data of the events that they complete. An event that
    /// the stream's end cuts short is never given out, as the standard has it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, SseError> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (piece, tail) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line.len() + self.data.len() + piece.len() > MAX_EVENT_BYTES {
                return Err(SseError::TooLong);
            }
            self.line.extend_from_slice(piece);
            if let Some((ending, tail)) = tail.split_first() {
                self.after_cr = *ending == b'\r';
                events.extend(self.end_line()?);
                rest = tail;
            } else {
                rest = tail;
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<String>, SseError> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.after_first_line, true) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        if let Some(value) = data_of(line) {
            self.data.extend_from_slice(value);
            self.data.push(b'\n');
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Result<Option<String>, SseError> {
        let mut data = std::mem::take(&mut self.data);
        // Without a data line there is no event, only a comment or an id.
        if data.pop().is_none() {
            return Ok(None);
        }
        String::from_utf8(data)
            .map(Some)
            .map_err(|_| SseError::NotUtf8)
    }
}

/// The value of a `data` line; `None` for comments and other fields.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    match value.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        // A field without a colon is a field with an empty value.
        None => value.is_empty().then_some(value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn events(bytes: &[u8]) -> Vec<String> {
        SseParser::default().push(bytes).unwrap()
    }

    #[test]
    fn all_three_line_endings_end_lines() {
        assert_eq!(
            events(b"data: a\n\ndata: b\r\n\r\ndata: c\r\r"),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn the_space_after_the_colon_is_optional_and_only_one() {
        assert_eq!(events(b"data:a\n\ndata:  b\n\n"), ["a", " b"]);
    }

    #[test]
    fn several_data_lines_are_one_event() {
        assert_eq!(events(b"data: a\ndata\ndata: b\n\n"), ["a\n\nb"]);
    }

    #[test]
    fn comments_and_other_fields_are_passed_over() {
        assert_eq!(
            events(b": ping\n\nevent: x\nid: 1\ndata: a\nretry: 5\n\n"),
            ["a"]
        );
        assert_eq!(events(b"database: no\n\n"), [] as [&str; 0]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_at_the_start_only() {
        assert_eq!(events(b"\xef\xbb\xbfdata: a\n\n"), ["a"]);
        assert_eq!(events(b"data: a\n\n\xef\xbb\xbfdata: b\n\n"), ["a"]);
    }

    #[test]
    fn an_event_without_its_empty_line_is_not_given_out() {
        assert_eq!(events(b"data: a\n\ndata: b\n"), ["a"]);
    }

    #[test]
    fn an_endless_line_and_an_endless_event_are_refused() {
        let mut parser = SseParser::default();
        let endless = vec![b'x'; MAX_EVENT_BYTES];
        assert_eq!(parser.push(&endless), Ok(vec![]));
        assert_eq!(parser.push(b"y"), Err(SseError::TooLong));

        let mut parser = SseParser::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        let refused = (0..=MAX_EVENT_BYTES / 1000).find_map(|_| parser.push(&line).err());
        assert_eq!(refused, Some(SseError::TooLong));
    }

    #[test]
    fn what_is_no_utf8_is_refused() {
        assert_eq!(
            SseParser::default().push(b"data: \xff\n\n"),
            Err(SseError::NotUtf8)
        );
    }

    fn any_stream() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just("\r\n\r\n".to_owned()),
            Just("data:".to_owned()),
            Just("data: ".to_owned()),
            Just(": c".to_owned()),
            Just("\u{feff}".to_owned()),
            "[a-z😀 ]{0,5}",
        ];
        prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_events(
            stream in any_stream(),
            cuts in prop::collection::vec(0usize..6, 0..80),
        ) {
            let mut parser = SseParser::default();
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                found.extend(parser.push(piece).unwrap());
                rest = tail;
            }
            found.extend(parser.push(rest).unwrap());
            prop_assert_eq!(found, events(&stream));
        }

        #[test]
        fn what_is_written_is_read(texts in prop::collection::vec("[a-z😀 :]{0,9}(\n[a-z]{0,3}){0,2}", 0..9)) {
            let line = |line: &str| format!("data: {line}\n");
            let event = |text: &String| text.split('\n').map(line).collect::<String>() + "\n";
            let stream: String = texts.iter().map(event).collect();
            prop_assert_eq!(events(stream.as_bytes()), texts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SseParser::default().push(&bytes);
        }
    }
}
