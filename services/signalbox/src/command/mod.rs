//! One file for each command.

pub(crate) mod ask;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod embed;
pub(crate) mod up;

use std::io::Read as _;

/// The words of the command line as one text; `-` alone stands for standard input.
fn text_of(words: &[String]) -> std::io::Result<String> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
