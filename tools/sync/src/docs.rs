//! Tells whether doc comments hold examples that `cargo test` compiles.

/// Reads doc comments line by line.
#[derive(Debug, Default)]
pub(crate) struct DocTests {
    /// Inside of a code block.
    open: bool,
    found: bool,
}

impl DocTests {
    /// One doc attribute's string literal, quotes and escapes included. A block comment is
    /// one literal of many lines.
    pub(crate) fn line(&mut self, literal: &str) {
        let text = literal
            .trim_start_matches('r')
            .trim_matches('#')
            .trim_matches('"');
        for line in text.split("\\n").flat_map(str::lines) {
            let line = line.trim_start_matches([' ', '*']);
            if !line.starts_with("```") && !line.starts_with("~~~") {
                continue;
            }
            if !self.open {
                self.found |= is_rust(line.trim_start_matches(['`', '~']));
            }
            self.open = !self.open;
        }
    }

    /// Something that is no doc comment: what follows is another item's.
    pub(crate) fn interrupt(&mut self) {
        self.open = false;
    }

    pub(crate) fn found(&self) -> bool {
        self.found
    }
}

/// Whether rustdoc takes a block with this info string for a test.
fn is_rust(info: &str) -> bool {
    info.split([',', ' ', '\t'])
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .all(|word| {
            matches!(
                word,
                "rust"
                    | "no_run"
                    | "should_panic"
                    | "compile_fail"
                    | "standalone_crate"
                    | "test_harness"
            ) || word.starts_with("edition")
                || is_error_code(word)
        })
}

/// `E0123`, which goes with `compile_fail`.
fn is_error_code(word: &str) -> bool {
    word.strip_prefix('E')
        .is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str]) -> bool {
        let mut doc_tests = DocTests::default();
        for line in lines {
            doc_tests.line(&format!("{line:?}"));
        }
        doc_tests.found()
    }

    #[test]
    fn a_block_of_rust_is_a_test() {
        assert!(found(&[" Text.", " ```", " f();", " ```"]));
        assert!(found(&[" ```no_run", " f();", " ```"]));
        assert!(found(&[" ```rust,edition2024", " f();", " ```"]));
        assert!(found(&["\n * ~~~compile_fail,E0308\n * f();\n * ~~~\n"]));
    }

    #[test]
    fn another_language_is_none() {
        assert!(!found(&[" ```text", " a", " ```", " after"]));
        assert!(!found(&[" ```ignore", " a", " ```"]));
        assert!(!found(&[" ```sh", " a", " ```", " ```json", " {}", " ```"]));
    }
}
