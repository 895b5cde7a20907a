//! Whether a command prints what a document shows.
//!
//! The rule, for every command: what the document shows and what was printed are cut into
//! paragraphs at empty lines, and there must be as many. Within a paragraph white space
//! does not count, because documents break lines where terminals do not. Words and signs
//! must be equal, whole numbers too; numbers with a decimal point may differ by 0.01,
//! which the order of additions on another processor can change. `...` in the document
//! stands for anything.
//!
//! The first paragraph that `signalbox ask` prints is a model's own words: one must be
//! there, and whether it is the same is said, not demanded.

/// A part of a paragraph.
#[derive(Debug, PartialEq)]
enum Atom<'t> {
    Word(&'t str),
    Number(&'t str),
    Any,
}

/// A remark where the output is as shown, else where it is not.
pub(super) fn compare(command: &str, shown: &str, printed: &str) -> Result<String, String> {
    let (shown, printed) = (paragraphs(shown), paragraphs(printed));
    if shown.len() != printed.len() {
        return Err(format!(
            "{} paragraphs are shown, {} were printed",
            shown.len(),
            printed.len()
        ));
    }
    let mut remark = String::new();
    for (index, (shown, printed)) in shown.iter().zip(&printed).enumerate() {
        if index == 0 && command.starts_with("signalbox ask ") {
            if !same(shown, printed) {
                remark = " (the model chose other words here than those shown)".to_owned();
            }
        } else if !same(shown, printed) {
            return Err(format!(
                "shown is `{}`, printed was `{}`",
                shown.join(" "),
                printed.join(" ")
            ));
        }
    }
    Ok(remark)
}

/// The words of each paragraph; none is empty.
fn paragraphs(text: &str) -> Vec<Vec<&str>> {
    let mut paragraphs = vec![Vec::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(Vec::new());
        } else if let Some(last) = paragraphs.last_mut() {
            last.extend(line.split_whitespace());
        }
    }
    paragraphs.retain(|words| !words.is_empty());
    paragraphs
}

fn same(shown: &[&str], printed: &[&str]) -> bool {
    let cut = |words: &[&'_ str]| words.join(" ");
    let (shown, printed) = (cut(shown), cut(printed));
    matches(&atoms(&shown), &atoms(&printed))
}

/// `...` tries the shortest run first, and falls back to the last one only: enough, as in
/// every pattern of runs.
fn matches(shown: &[Atom<'_>], printed: &[Atom<'_>]) -> bool {
    let (mut s, mut p) = (0, 0);
    let mut last_any = None;
    while p < printed.len() {
        match shown.get(s) {
            Some(Atom::Any) => {
                last_any = Some((s, p));
                s += 1;
            }
            Some(atom) if equal(atom, &printed[p]) => {
                s += 1;
                p += 1;
            }
            _ => match last_any.as_mut() {
                Some((any, from)) => {
                    *from += 1;
                    (s, p) = (*any + 1, *from);
                }
                None => return false,
            },
        }
    }
    shown[s..].iter().all(|atom| *atom == Atom::Any)
}

fn equal(shown: &Atom<'_>, printed: &Atom<'_>) -> bool {
    match (shown, printed) {
        (Atom::Number(a), Atom::Number(b)) if a.contains('.') && b.contains('.') => {
            match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => (a - b).abs() <= 0.01,
                _ => false,
            }
        }
        (shown, printed) => shown == printed,
    }
}

/// Words of letters, numbers with their sign, single signs; white space parts them.
fn atoms(text: &str) -> Vec<Atom<'_>> {
    let mut atoms = Vec::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            atoms.push(Atom::Any);
            (rest, after_word) = (after, false);
            continue;
        }
        let sign = usize::from(!after_word && matches!(first, '+' | '-'));
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
        let whole = digits(&rest[sign..]);
        let length = if whole > 0 {
            let fraction = (rest[sign + whole..].strip_prefix('.')).map_or(0, digits);
            let length = sign + whole + if fraction > 0 { 1 + fraction } else { 0 };
            atoms.push(Atom::Number(&rest[..length]));
            length
        } else {
            let letters: usize = (rest.chars())
                .take_while(|c| c.is_alphabetic() || *c == '_')
                .map(char::len_utf8)
                .sum();
            let length = letters.max(first.len_utf8());
            if !first.is_whitespace() {
                atoms.push(Atom::Word(&rest[..length]));
            }
            length
        };
        after_word = rest[..length].ends_with(|c: char| c.is_alphanumeric());
        rest = &rest[length..];
    }
    atoms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(shown: &str, printed: &str) -> bool {
        compare("signalbox embed x", shown, printed).is_ok()
    }

    #[test]
    fn line_breaks_do_not_count_and_paragraphs_do() {
        assert!(is_same("a b\nc\n\nd\n", "a\nb c\n\n\nd"));
        assert!(!is_same("a b\n\nc", "a b c"));
    }

    #[test]
    fn words_and_whole_numbers_are_equal() {
        assert!(!is_same("3 found", "4 found"));
        assert!(!is_same("EMAIL", "PHONE"));
        assert!(is_same("characters 5-20", "characters 5-20"));
        assert!(!is_same("characters 5-20", "characters 5-21"));
        assert!(!is_same("a", "a b"));
        assert!(!is_same("a b", "a"));
    }

    #[test]
    fn decimals_may_differ_by_a_hundredth() {
        assert!(is_same("[-0.0041, +0.0598]", "[-0.0040, +0.0602]"));
        assert!(!is_same("[-0.0041]", "[+0.0141]"));
        assert!(!is_same("score 0.95", "score 0.85"));
    }

    #[test]
    fn an_ellipsis_stands_for_anything() {
        assert!(is_same(
            "[+0.1, ...] 384 of it",
            "[+0.1, -0.2, +0.3, 4] 384 of it"
        ));
        assert!(!is_same("[+0.1, ...] 384 of it", "[+0.1, -0.2] 385 of it"));
        assert!(is_same(r#""id": "...", "n": 1"#, r#""id": "x-7", "n": 1"#));
    }

    #[test]
    fn a_models_words_must_be_there_and_may_differ() {
        let ask = |printed| compare("signalbox ask x", "The sky.\n\n4 tokens", printed);
        assert_eq!(ask("The sky.\n\n4 tokens").as_deref(), Ok(""));
        assert!(ask("A sea.\n\n4 tokens").is_ok_and(|remark| remark.contains("other words")));
        assert!(ask("4 tokens").is_err());
        assert!(ask("A sea.\n\n5 tokens").is_err());
    }
}
