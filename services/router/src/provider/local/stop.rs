//! Stop strings, found across token boundaries. Text that may still turn into a stop
//! string is held back, so that no part of one is ever shown.
//!
//! Of several stop strings the one that is *complete* first wins, and of two complete
//! at the same place the longer: what a reader of the stream can know, and so the same
//! however the text is cut into tokens.

/// Watches a text for stop strings.
pub(super) struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What may be shown, and whether that was all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) stopped: bool,
}

impl StopMatcher {
    pub(super) fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self {
            stops,
            held: String::new(),
        }
    }

    /// Adds text and takes what can be no part of a stop string.
    pub(super) fn push(&mut self, text: &str) -> Shown {
        self.held.push_str(text);
        if let Some(start) = self.first_stop() {
            self.held.truncate(start);
            return Shown {
                text: std::mem::take(&mut self.held),
                stopped: true,
            };
        }
        let keep = self.undecided();
        let rest = self.held.split_off(self.held.len() - keep);
        Shown {
            text: std::mem::replace(&mut self.held, rest),
            stopped: false,
        }
    }

    /// The text held back, once it is known that no more comes.
    pub(super) fn finish(self) -> String {
        self.held
    }

    fn first_stop(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| {
                self.held
                    .find(stop)
                    .map(|start| (start + stop.len(), start))
            })
            .min()
            .map(|(_, start)| start)
    }

    /// The length of the longest end of the held text that begins a stop string.
    fn undecided(&self) -> usize {
        let longest = |stop: &String| {
            (1..stop.len())
                .rev()
                .filter(|length| stop.is_char_boundary(*length))
                .find(|length| self.held.ends_with(&stop[..*length]))
                .unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut text = String::new();
        for piece in pieces {
            let shown = matcher.push(piece);
            text.push_str(&shown.text);
            if shown.stopped {
                return (text, true);
            }
        }
        (text + &matcher.finish(), false)
    }

    #[test]
    fn a_stop_string_over_three_tokens_is_never_shown() {
        let mut matcher = StopMatcher::new(vec!["END".to_owned()]);
        assert_eq!(matcher.push("so E").text, "so ");
        assert_eq!(matcher.push("N").text, "");
        let last = matcher.push("D and more");
        assert_eq!((last.text.as_str(), last.stopped), ("", true));
    }

    #[test]
    fn text_that_only_looked_like_a_stop_string_is_shown_after_all() {
        assert_eq!(
            run(&["END"], &["the E", "N", "GINE"]),
            ("the ENGINE".to_owned(), false)
        );
        assert_eq!(run(&["END"], &["the EN"]), ("the EN".to_owned(), false));
    }

    #[test]
    fn the_stop_string_complete_first_wins() {
        assert_eq!(run(&["abc", "b"], &["abc"]), ("a".to_owned(), true));
        assert_eq!(run(&["abc", "bc"], &["xabc"]), ("x".to_owned(), true));
    }

    #[test]
    fn an_empty_stop_string_stops_nothing() {
        assert_eq!(run(&[""], &["text"]), ("text".to_owned(), false));
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_answer(
            text in "[abé]{0,24}",
            stops in prop::collection::vec("[abé]{1,4}", 0..4),
            cuts in prop::collection::vec(0usize..4, 0..24),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let mut pieces = Vec::new();
            let mut rest = text.as_str();
            for cut in cuts {
                let at = rest.char_indices().nth(cut).map_or(rest.len(), |(at, _)| at);
                let (piece, tail) = rest.split_at(at);
                pieces.push(piece);
                rest = tail;
            }
            pieces.push(rest);
            let whole = run(&stops, &[&text]);
            prop_assert_eq!(run(&stops, &pieces), whole.clone());
            prop_assert_eq!(whole.1, stops.iter().any(|stop| text.contains(stop)));
            prop_assert!(stops.iter().all(|stop| !whole.0.contains(stop)));
        }
    }
}
