//! Panics as log lines.
//!
//! The standard hook prints what the panic says, and that may quote a request: the
//! panic of a wrong slice shows the text. A line holds the place, and the words
//! only where they stand in the source as they are.

use std::{any::Any, panic::PanicHookInfo};

const WITHHELD: &str = "withheld, as it may quote a request";

/// Logs panics from here on.
pub(super) fn install_hook() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    let words = words(panic.payload());
    tracing::error!(place, words, "panicked");
}

fn words(payload: &dyn Any) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or(WITHHELD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_source_are_shown() {
        assert_eq!(words(&"lost the queue"), "lost the queue");
        let quoting = "index 1 is inside 'é' of `my name is Zoé`".to_owned();
        assert_eq!(words(&quoting), WITHHELD);
    }
}
