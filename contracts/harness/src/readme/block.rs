//! The fenced blocks of a Markdown document, and the commands in them.

use anyhow::{bail, ensure};

/// How a block is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// Commands that must succeed and print something.
    Shell,
    /// Commands after `$ `, each followed by what it prints.
    Console,
    /// A script that must succeed and print something.
    Python,
    /// A signalbox.yaml that must be accepted.
    Config,
}

/// One fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// `FILE:LINE` of its fence.
    pub(super) place: String,
    pub(super) language: Language,
    pub(super) text: String,
    /// Why it is not run, where a comment says so.
    pub(super) not_run: Option<String>,
}

/// The blocks of a document: all of them where `strict`, else those marked `<!-- run -->`.
///
/// # Errors
/// A block that nothing can run and that no comment excuses; a fence without an end.
pub(super) fn blocks(name: &str, text: &str, strict: bool) -> anyhow::Result<Vec<Block>> {
    let mut found = Vec::new();
    let mut mark = "";
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                mark = line.trim();
            }
            continue;
        };
        let place = format!("{name}:{}", number + 1);
        let mut body = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => {
                    body.push_str(line);
                    body.push('\n');
                }
                None => bail!("{place}: the block has no end"),
            }
        }
        let comment = (mark
            .strip_prefix("<!--")
            .and_then(|m| m.strip_suffix("-->")))
        .map_or("", str::trim);
        mark = "";
        let not_run = comment.strip_prefix("not run:").map(|why| why.trim());
        ensure!(
            not_run.is_none_or(|why| !why.is_empty()),
            "{place}: the comment names no reason"
        );
        if !strict && comment != "run" {
            continue;
        }
        let language = match (language, not_run) {
            ("sh", _) => Language::Shell,
            ("console", _) => Language::Console,
            ("python", _) => Language::Python,
            ("yaml", _) => Language::Config,
            // Whatever it is, nobody runs it.
            (_, Some(_)) => Language::Shell,
            (other, None) => bail!(
                "{place}: no way to run a block of `{other}`; write `<!-- not run: WHY -->` above it"
            ),
        };
        found.push(Block {
            place,
            language,
            text: body,
            not_run: not_run.map(str::to_owned),
        });
    }
    Ok(found)
}

/// The commands of a shell block: its lines, joined where one ends in `\`.
pub(super) fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        open.push_str(line);
        if line.ends_with('\\') {
            open.push('\n');
            continue;
        }
        let command = std::mem::take(&mut open);
        let command = command.trim();
        if !command.is_empty() && !command.starts_with('#') {
            commands.push(command.to_owned());
        }
    }
    if !open.trim().is_empty() {
        commands.push(open);
    }
    commands
}

/// The commands of a console session, each with what the document prints under it.
///
/// # Errors
/// Text before the first command; no command at all.
pub(super) fn session(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut turns: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            turns.push((command.to_owned(), String::new()));
            continue;
        }
        let Some((command, printed)) = turns.last_mut() else {
            bail!("a session begins with `$ `, not with `{line}`");
        };
        if printed.is_empty() && command.ends_with('\\') {
            command.push('\n');
            command.push_str(line);
        } else {
            printed.push_str(line);
            printed.push('\n');
        }
    }
    ensure!(!turns.is_empty(), "the session has no command");
    Ok(turns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_block_is_run_or_excused() {
        let text = "```sh\na\n```\n<!-- not run: it builds -->\n```\nb\n```\n";
        let found = blocks("R", text, true).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].not_run.is_none());
        assert_eq!(found[0].place, "R:1");
        assert_eq!(found[1].not_run.as_deref(), Some("it builds"));
    }

    #[test]
    fn an_excuse_is_for_the_next_block_only() {
        let text = "<!-- not run: it builds -->\n```sh\na\n```\n\n```ruby\nb\n```\n";
        let problem = blocks("R", text, true).unwrap_err().to_string();
        assert!(
            problem.contains("R:6") && problem.contains("ruby"),
            "{problem}"
        );
    }

    #[test]
    fn an_excuse_needs_a_reason_and_a_fence_its_end() {
        assert!(blocks("R", "<!-- not run: -->\n```sh\na\n```\n", true).is_err());
        assert!(blocks("R", "```sh\na\n", true).is_err());
    }

    #[test]
    fn other_documents_ask_to_be_run() {
        let text = "```ruby\nb\n```\n<!-- run -->\n```sh\na\n```\n";
        let found = blocks("R", text, false).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "a\n");
    }

    #[test]
    fn a_command_may_go_over_lines() {
        assert_eq!(commands("# why\na \\\n  b\n\nc\n"), ["a \\\n  b", "c"]);
        let turns = session("$ a \\\n  b\nout\n$ c\n").unwrap();
        assert_eq!(turns[0], ("a \\\n  b".to_owned(), "out\n".to_owned()));
        assert_eq!(turns[1], ("c".to_owned(), String::new()));
        assert!(session("out\n").is_err());
    }
}
