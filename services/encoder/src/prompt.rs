//! What a model wants to be told in front of a text.
//!
//! Models for retrieval are trained with a word or a sentence in front of each text
//! that says whether it asks or answers: E5 (arXiv 2212.03533) takes `query: ` and
//! `passage: `, BGE (arXiv 2309.07597) an instruction in front of queries only. Leaving
//! it out costs retrieval quality, and nothing else shows it.

use std::borrow::Cow;

use serde::Deserialize;

/// What a text is for, in a model that tells the two apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InputType {
    /// The caller does not say: the model's default prompt, which most have not.
    #[default]
    Unspecified,
    /// A question, to be compared with documents.
    Query,
    /// A text that is looked for.
    Document,
}

impl InputType {
    /// The name in configurations and interfaces: `query` or `document`, empty for
    /// [`Self::Unspecified`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Query => "query",
            Self::Document => "document",
        }
    }
}

/// The texts that a model wants in front; empty where it wants none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prompts {
    /// In front of queries.
    pub query: String,
    /// In front of documents.
    pub document: String,
    /// In front of a text whose caller says neither.
    pub unspecified: String,
}

impl Prompts {
    /// The text as the model wants it.
    pub(crate) fn apply<'a>(&self, text: &'a str, input_type: InputType) -> Cow<'a, str> {
        match self.of(input_type) {
            "" => Cow::Borrowed(text),
            prompt => Cow::Owned([prompt, text].concat()),
        }
    }

    /// The prompt for a kind of text.
    pub fn of(&self, input_type: InputType) -> &str {
        match input_type {
            InputType::Unspecified => &self.unspecified,
            InputType::Query => &self.query,
            InputType::Document => &self.document,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gets_the_prompt_of_its_kind() {
        let prompts = Prompts {
            query: "query: ".to_owned(),
            document: "passage: ".to_owned(),
            unspecified: String::new(),
        };
        assert_eq!(prompts.apply("a", InputType::Query), "query: a");
        assert_eq!(prompts.apply("a", InputType::Document), "passage: a");
        assert!(matches!(
            prompts.apply("a", InputType::Unspecified),
            Cow::Borrowed("a")
        ));
    }
}
