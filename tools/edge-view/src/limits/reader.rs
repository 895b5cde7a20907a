//! The grammar: what is not in it is an error that names the limit.

use super::{Limit, LimitError};
use crate::token::{Placed, Token, tokens};

/// A view as it was read.
#[derive(Debug, Default)]
pub struct View {
    /// The package.
    pub package: String,
    /// The RPCs of all services, in order of declaration.
    pub rpcs: Vec<Rpc>,
    /// Messages, nested ones too, with their names from the package on.
    pub messages: Vec<Message>,
    /// Names of enums from the package on, with their lines.
    pub enums: Vec<(String, usize)>,
}

/// An RPC.
#[derive(Debug)]
pub struct Rpc {
    /// `Service/Method`.
    pub name: String,
    /// The types, as written.
    pub types: [String; 2],
    /// Verb (upper case), path and body of each binding.
    pub bindings: Vec<(String, String, String)>,
    /// Its line.
    pub line: usize,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// From the package on: `.package.Outer.Inner`.
    pub name: String,
    /// Name, number, types as written and line of each field.
    pub fields: Vec<(String, u32, Vec<String>, usize)>,
    /// Its line.
    pub line: usize,
}

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// Whether a type is a scalar.
pub(super) fn is_scalar(name: &str) -> bool {
    SCALARS.contains(&name)
}

pub(super) fn read(text: &str) -> Result<View, LimitError> {
    let tokens =
        tokens(text).map_err(|error| LimitError::new(Limit::Grammar, error.line, error.what))?;
    let mut reader = Reader {
        tokens,
        at: 0,
        view: View::default(),
    };
    reader.file()?;
    Ok(reader.view)
}

struct Reader {
    tokens: Vec<Placed>,
    at: usize,
    view: View,
}

impl Reader {
    fn file(&mut self) -> Result<(), LimitError> {
        if self.name(Limit::Syntax)? != "syntax" {
            return Err(self.error(Limit::Syntax, "the file does not begin with its syntax"));
        }
        self.mark('=')?;
        if self.text()? != "proto3" {
            return Err(self.error(Limit::Syntax, "only proto3 is read as it is meant"));
        }
        self.mark(';')?;
        if self.name(Limit::Grammar)? != "package" {
            return Err(self.error(Limit::Grammar, "the package comes second"));
        }
        self.view.package = self.name(Limit::Grammar)?;
        self.mark(';')?;
        while self.at < self.tokens.len() {
            let scope = format!(".{}", self.view.package);
            match self.name(Limit::Grammar)?.as_str() {
                "message" => self.message(&scope)?,
                "enum" => self.enumeration(&scope)?,
                "service" => self.service()?,
                "import" => return Err(self.error(Limit::Import, "an import")),
                "option" => return Err(self.error(Limit::Option, "an option of the file")),
                other => return Err(self.error(Limit::Other, format!("`{other}`"))),
            }
        }
        Ok(())
    }

    fn service(&mut self) -> Result<(), LimitError> {
        let service = self.name(Limit::Grammar)?;
        self.mark('{')?;
        while !self.skip('}') {
            match self.name(Limit::Grammar)?.as_str() {
                "rpc" => self.rpc(&service)?,
                "option" => return Err(self.error(Limit::Option, "an option of the service")),
                other => return Err(self.error(Limit::Other, format!("`{other}`"))),
            }
        }
        Ok(())
    }

    fn rpc(&mut self, service: &str) -> Result<(), LimitError> {
        let line = self.line();
        let name = format!("{service}/{}", self.name(Limit::Grammar)?);
        let input = self.rpc_type()?;
        if self.name(Limit::Grammar)? != "returns" {
            return Err(self.error(Limit::Grammar, "`returns` expected"));
        }
        let types = [input, self.rpc_type()?];
        self.mark('{')?;
        if self.name(Limit::Grammar)? != "option" {
            return Err(self.error(Limit::Grammar, "`option` expected"));
        }
        self.mark('(')?;
        if self.name(Limit::Grammar)? != "google.api.http" {
            return Err(self.error(Limit::Option, "an option that is not google.api.http"));
        }
        self.mark(')')?;
        self.mark('=')?;
        self.mark('{')?;
        let mut bindings = Vec::new();
        self.binding(&mut bindings, false)?;
        self.mark(';')?;
        if !self.skip('}') {
            return Err(self.error(Limit::Option, "a second option of an RPC"));
        }
        self.view.rpcs.push(Rpc {
            name,
            types,
            bindings,
            line,
        });
        Ok(())
    }

    fn rpc_type(&mut self) -> Result<String, LimitError> {
        self.mark('(')?;
        let name = self.name(Limit::Grammar)?;
        if name == "stream" {
            return Err(self.error(Limit::Stream, "a streaming RPC"));
        }
        self.mark(')')?;
        Ok(name)
    }

    /// Reads one binding up to its closing brace.
    fn binding(
        &mut self,
        bindings: &mut Vec<(String, String, String)>,
        additional: bool,
    ) -> Result<(), LimitError> {
        let at = bindings.len();
        bindings.push(Default::default());
        while !self.skip('}') {
            match self.name(Limit::Grammar)?.as_str() {
                verb @ ("get" | "put" | "post" | "patch" | "delete") => {
                    let verb = verb.to_uppercase();
                    self.mark(':')?;
                    let path = self.text()?;
                    if !bindings[at].0.is_empty() {
                        return Err(self.error(Limit::Verb, "two methods in one binding"));
                    }
                    bindings[at].0 = verb;
                    bindings[at].1 = path;
                }
                "body" => {
                    self.mark(':')?;
                    bindings[at].2 = self.text()?;
                }
                "additional_bindings" => {
                    self.skip(':');
                    self.mark('{')?;
                    if additional || bindings.len() > 1 {
                        return Err(self.error(Limit::Bindings, "a second additional binding"));
                    }
                    self.binding(bindings, true)?;
                }
                "response_body" => return Err(self.error(Limit::ResponseBody, "response_body")),
                other => return Err(self.error(Limit::Verb, format!("`{other}` in a binding"))),
            }
        }
        if bindings[at].0.is_empty() {
            return Err(self.error(Limit::Verb, "a binding without a method"));
        }
        Ok(())
    }

    fn message(&mut self, scope: &str) -> Result<(), LimitError> {
        let line = self.line();
        let name = format!("{scope}.{}", self.name(Limit::Grammar)?);
        self.mark('{')?;
        let mut fields = Vec::new();
        while !self.skip('}') {
            let line = self.line();
            let mut first = self.name(Limit::Grammar)?;
            match first.as_str() {
                "message" => {
                    self.message(&name)?;
                    continue;
                }
                "enum" => {
                    self.enumeration(&name)?;
                    continue;
                }
                "optional" | "required" => {
                    return Err(self.error(Limit::Label, format!("the label `{first}`")));
                }
                "oneof" => return Err(self.error(Limit::Oneof, "a oneof")),
                "option" => return Err(self.error(Limit::Option, "an option of a message")),
                "reserved" | "extensions" | "extend" | "group" => {
                    return Err(self.error(Limit::Other, format!("`{first}`")));
                }
                _ => {}
            }
            let mut types = Vec::new();
            if first == "repeated" {
                first = self.name(Limit::Grammar)?;
            } else if first == "map" {
                self.mark('<')?;
                types.push(self.name(Limit::Grammar)?);
                self.mark(',')?;
                first = self.name(Limit::Grammar)?;
                self.mark('>')?;
            }
            types.push(first);
            let field = self.name(Limit::Grammar)?;
            self.mark('=')?;
            let number = self.number()?;
            if self.skip('[') {
                return Err(self.error(Limit::FieldOption, format!("an option of {field}")));
            }
            self.mark(';')?;
            fields.push((field, number, types, line));
        }
        self.view.messages.push(Message { name, fields, line });
        Ok(())
    }

    fn enumeration(&mut self, scope: &str) -> Result<(), LimitError> {
        let line = self.line();
        let name = format!("{scope}.{}", self.name(Limit::Grammar)?);
        self.mark('{')?;
        while !self.skip('}') {
            let value = self.name(Limit::Grammar)?;
            if value == "option" || value == "reserved" {
                return Err(self.error(Limit::Option, format!("`{value}` in an enum")));
            }
            self.mark('=')?;
            self.skip('-');
            self.number()?;
            if self.skip('[') {
                return Err(self.error(Limit::FieldOption, format!("an option of {value}")));
            }
            self.mark(';')?;
        }
        self.view.enums.push((name, line));
        Ok(())
    }

    fn line(&self) -> usize {
        let placed = self.tokens.get(self.at).or_else(|| self.tokens.last());
        placed.map_or(1, |placed| placed.line)
    }

    /// An error at the token that was read last.
    fn error(&self, limit: Limit, what: impl Into<String>) -> LimitError {
        let line = self
            .tokens
            .get(self.at.saturating_sub(1))
            .map_or(1, |placed| placed.line);
        LimitError::new(limit, line, what)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|placed| placed.token.clone());
        self.at += 1;
        token
    }

    fn name(&mut self, otherwise: Limit) -> Result<String, LimitError> {
        match self.next() {
            Some(Token::Name(name)) => Ok(name),
            other => Err(self.error(otherwise, format!("a name expected, not {other:?}"))),
        }
    }

    fn text(&mut self) -> Result<String, LimitError> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            other => Err(self.error(Limit::Grammar, format!("a string expected, not {other:?}"))),
        }
    }

    fn number(&mut self) -> Result<u32, LimitError> {
        match self.next() {
            Some(Token::Number(number)) => Ok(number),
            other => Err(self.error(Limit::Grammar, format!("a number expected, not {other:?}"))),
        }
    }

    fn mark(&mut self, mark: char) -> Result<(), LimitError> {
        match self.next() {
            Some(Token::Mark(found)) if found == mark => Ok(()),
            other => Err(self.error(Limit::Grammar, format!("{mark:?} expected, not {other:?}"))),
        }
    }

    fn skip(&mut self, mark: char) -> bool {
        let here = matches!(self.tokens.get(self.at),
            Some(Placed { token: Token::Mark(found), .. }) if *found == mark);
        if here {
            self.at += 1;
        }
        here
    }
}
