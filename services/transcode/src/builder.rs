//! From descriptors and annotations to a [`Transcoder`], refusing at start-up
//! what could not be served.

use std::{collections::HashMap, sync::Arc};

use http::Method;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::{
    bind,
    openai::Quirk,
    plan::{Accept, Card, Emit, Kind, Plan, PlanBuilder, Shape},
    render::ErrorShape,
    routes::Routes,
    rule::{self, Rule},
    template::Template,
    transcoder::{BodyRule, Inner, Route, Rpc, Transcoder},
};

/// Why a contract cannot be transcoded.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The descriptor set cannot be read.
    #[error("the descriptor set cannot be read: {0}")]
    Descriptors(String),
    /// A service was asked for that the descriptor set does not hold.
    #[error("the descriptor set has no service `{0}`")]
    UnknownService(String),
    /// An RPC's annotation or messages cannot be served over REST.
    #[error("{rpc}: {problem}")]
    Rpc {
        /// Full name of the RPC.
        rpc: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two RPCs have the same method and path.
    #[error("{rpc} and {other} are both reached by {method} {path}")]
    DuplicateRoute {
        /// The RPC that comes second.
        rpc: String,
        /// The RPC that comes first.
        other: String,
        /// The HTTP method.
        method: String,
        /// The path template of the second.
        path: String,
    },
    /// A quirk names something that the contract does not have.
    #[error("{quirk:?}: {problem}")]
    Quirk {
        /// The quirk.
        quirk: Quirk,
        /// What it names in vain.
        problem: String,
    },
}

/// Collects what a [`Transcoder`] is built from.
#[derive(Debug)]
pub struct Builder<'d> {
    descriptors: &'d [u8],
    services: Option<Vec<String>>,
    quirks: Vec<Quirk>,
    max_request: usize,
    max_response: usize,
}

impl<'d> Builder<'d> {
    /// Largest request body by default, in bytes: 4 MiB, as in gRPC.
    const MAX_REQUEST: usize = 4 << 20;
    /// Largest response message by default, in bytes.
    const MAX_RESPONSE: usize = 64 << 20;

    pub(crate) fn new(descriptors: &'d [u8]) -> Self {
        Self {
            descriptors,
            services: None,
            quirks: Vec::new(),
            max_request: Self::MAX_REQUEST,
            max_response: Self::MAX_RESPONSE,
        }
    }

    /// Routes only these services, by full name; all of them by default.
    #[must_use]
    pub fn services(mut self, services: &[&str]) -> Self {
        self.services = Some(services.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Exceptions to plain transcoding. One that concerns a service that is not
    /// routed has no effect.
    #[must_use]
    pub fn quirks(mut self, quirks: Vec<Quirk>) -> Self {
        self.quirks = quirks;
        self
    }

    /// The largest request body, in bytes.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// The largest message that a service may answer with, in bytes.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Compiles everything.
    ///
    /// # Errors
    /// Names the RPC and what is wrong with its rule or its messages.
    pub fn build(self) -> Result<Transcoder, BuildError> {
        let pool = DescriptorPool::decode(self.descriptors)
            .map_err(|error| BuildError::Descriptors(error.to_string()))?;
        let mut methods = Vec::new();
        for service in self.selected(&pool)? {
            methods.extend(service.methods());
        }
        let mut work = Work {
            quirks: &self.quirks,
            ..Work::default()
        };
        let mut annotated = Vec::new();
        let extension = rule::extension(&pool);
        for method in &methods {
            let rules = match &extension {
                Some(extension) => rule::rules(method, extension).map_err(|p| at(method, p))?,
                None => Vec::new(),
            };
            if !rules.is_empty() {
                let rpc = work.rpc(method)?;
                annotated.push((rpc, method, rules));
            }
        }
        work.switches(&methods)?;
        for quirk in &self.quirks {
            work.check_known(&pool, quirk)?;
            work.bend(quirk).map_err(|problem| BuildError::Quirk {
                quirk: *quirk,
                problem,
            })?;
        }
        let plan = std::mem::take(&mut work.plan).finish();
        for (rpc, method, rules) in annotated {
            for rule in rules {
                work.route(&plan, rpc, method, rule)?;
            }
        }
        let inner = Inner {
            plan,
            rpcs: work.rpcs,
            routes: work.routes,
            table: work.table,
            max_request: self.max_request,
            max_response: self.max_response,
            pool,
        };
        Ok(Transcoder {
            inner: Arc::new(inner),
        })
    }

    fn selected(
        &self,
        pool: &DescriptorPool,
    ) -> Result<Vec<prost_reflect::ServiceDescriptor>, BuildError> {
        let Some(names) = &self.services else {
            return Ok(pool.services().collect());
        };
        let find = |name: &String| {
            pool.get_service_by_name(name)
                .ok_or_else(|| BuildError::UnknownService(name.clone()))
        };
        names.iter().map(find).collect()
    }
}

fn at(method: &MethodDescriptor, problem: impl Into<String>) -> BuildError {
    BuildError::Rpc {
        rpc: method.full_name().to_owned(),
        problem: problem.into(),
    }
}

#[derive(Default)]
struct Work<'q> {
    quirks: &'q [Quirk],
    plan: PlanBuilder,
    rpcs: Vec<Rpc>,
    by_name: HashMap<String, usize>,
    routes: Vec<Route>,
    table: Routes,
}

impl Work<'_> {
    /// Compiles an RPC once.
    fn rpc(&mut self, method: &MethodDescriptor) -> Result<usize, BuildError> {
        if let Some(&index) = self.by_name.get(method.full_name()) {
            return Ok(index);
        }
        if method.is_client_streaming() {
            return Err(at(
                method,
                "its requests are a stream, which HTTP has no form for",
            ));
        }
        let mut message = |descriptor| -> Result<u32, BuildError> {
            let index = self
                .plan
                .message(&descriptor)
                .map_err(|problem| at(method, problem))?;
            match find_any(&self.plan, index) {
                Some(place) => {
                    let problem =
                        format!("{place} is a google.protobuf.Any, which REST cannot carry");
                    Err(at(method, problem))
                }
                None => Ok(index),
            }
        };
        let (input, output) = (message(method.input())?, message(method.output())?);
        let name = method.full_name();
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let open_ai = self
            .quirks
            .iter()
            .any(|q| matches!(q, Quirk::OpenAiErrors { rpc } if *rpc == name));
        let rpc = Rpc {
            name: name.into(),
            path: path
                .parse()
                .map_err(|_| at(method, "its name is not a path"))?,
            input,
            output,
            streaming: method.is_server_streaming(),
            shape: if open_ai {
                ErrorShape::OpenAi
            } else {
                ErrorShape::GoogleRpc
            },
            done_marker: self
                .quirks
                .iter()
                .any(|q| matches!(q, Quirk::DoneMarker { rpc } if *rpc == name)),
            switch: None,
        };
        self.rpcs.push(rpc);
        self.by_name.insert(name.to_owned(), self.rpcs.len() - 1);
        Ok(self.rpcs.len() - 1)
    }

    fn switches(&mut self, methods: &[MethodDescriptor]) -> Result<(), BuildError> {
        for quirk in self.quirks {
            let Quirk::StreamSwitch {
                unary,
                streaming,
                field,
            } = *quirk
            else {
                continue;
            };
            let Some(&from) = self.by_name.get(unary) else {
                continue;
            };
            let refuse = |problem: String| BuildError::Quirk {
                quirk: *quirk,
                problem,
            };
            let method = methods
                .iter()
                .find(|method| method.full_name() == streaming)
                .ok_or_else(|| refuse(format!("no routed service has `{streaming}`")))?;
            let to = self.rpc(method)?;
            if self.rpcs[to].input != self.rpcs[from].input {
                return Err(refuse("the two RPCs take different messages".to_owned()));
            }
            if !self.rpcs[to].streaming {
                return Err(refuse(format!("`{streaming}` does not answer in a stream")));
            }
            let input = self.plan.get(self.rpcs[from].input);
            let found = input.and_then(|input| input.by_name(field));
            let number = found
                .filter(|(_, field)| field.kind == Kind::Bool)
                .map(|(_, f)| f.number);
            let number = number.ok_or_else(|| refuse(format!("`{field}` is not a bool field")))?;
            self.rpcs[from].switch = Some((number, to));
        }
        Ok(())
    }

    /// Refuses a quirk that names what the whole contract does not have.
    fn check_known(&self, pool: &DescriptorPool, quirk: &Quirk) -> Result<(), BuildError> {
        let rpc_known = |rpc: &str| {
            pool.services()
                .any(|service| service.methods().any(|m| m.full_name() == rpc))
        };
        let missing = match *quirk {
            Quirk::WrapScalar { message, .. }
            | Quirk::StringOrParts { message, .. }
            | Quirk::EmbeddingInput { message, .. }
            | Quirk::RenameOut { message, .. }
            | Quirk::NullWhenUnset { message, .. } => pool
                .get_message_by_name(message)
                .is_none()
                .then_some(message),
            Quirk::StreamSwitch {
                unary, streaming, ..
            } => [unary, streaming].into_iter().find(|rpc| !rpc_known(rpc)),
            Quirk::DoneMarker { rpc } | Quirk::OpenAiErrors { rpc } => {
                (!rpc_known(rpc)).then_some(rpc)
            }
        };
        match missing {
            Some(name) => Err(BuildError::Quirk {
                quirk: *quirk,
                problem: format!("the contract has no `{name}`"),
            }),
            None => Ok(()),
        }
    }

    /// Writes a quirk into the field it concerns.
    fn bend(&mut self, quirk: &Quirk) -> Result<(), String> {
        let (message, field, other) = match *quirk {
            Quirk::WrapScalar { message, field } | Quirk::NullWhenUnset { message, field } => {
                (message, field, None)
            }
            Quirk::StringOrParts {
                message,
                field,
                parts,
            } => (message, field, Some(parts)),
            Quirk::EmbeddingInput {
                message,
                field,
                tokens,
            } => (message, field, Some(tokens)),
            Quirk::RenameOut {
                message,
                field,
                as_field,
            } => (message, as_field, Some(field)),
            Quirk::StreamSwitch { .. } | Quirk::DoneMarker { .. } | Quirk::OpenAiErrors { .. } => {
                return Ok(());
            }
        };
        let Some(message) = self.plan.message_mut(message) else {
            return Ok(());
        };
        let find = |name: &str| {
            let found = message.by_name(name).map(|(index, _)| index);
            found.ok_or_else(|| format!("{} has no field `{name}`", message.full_name))
        };
        let at = find(field)?;
        let other = other.map(find).transpose()?;
        let kind_of = |index: u16| (message.field(index).kind, message.field(index).card);
        let fits = match (*quirk, kind_of(at), other.map(kind_of)) {
            (Quirk::WrapScalar { .. }, (_, Card::List { .. }), None) => true,
            (Quirk::NullWhenUnset { .. }, (_, Card::One { presence }), None) => presence,
            (
                Quirk::StringOrParts { .. },
                (Kind::String, Card::One { .. }),
                Some((Kind::Message(_), Card::List { .. })),
            )
            | (
                Quirk::EmbeddingInput { .. },
                (Kind::String, Card::List { .. }),
                Some((Kind::Message(_), Card::List { .. })),
            ) => true,
            (Quirk::RenameOut { .. }, _, Some((Kind::Bytes, Card::One { presence }))) => !presence,
            (Quirk::RenameOut { .. }, _, Some((_, Card::List { .. }))) => true,
            _ => false,
        };
        if !fits {
            return Err("the fields are not of the types that it is for".to_owned());
        }
        let other = other.unwrap_or_default();
        let place = &mut message.fields[usize::from(at)];
        match *quirk {
            Quirk::WrapScalar { .. } => place.accept = Accept::WrapScalar,
            Quirk::NullWhenUnset { .. } => place.emit = Emit::NullWhenUnset,
            Quirk::StringOrParts { .. } => place.accept = Accept::StringOrParts { parts: other },
            Quirk::EmbeddingInput { .. } => place.accept = Accept::EmbeddingInput { tokens: other },
            _ => {
                place.emit = match place.emit {
                    Emit::OrPacked { also: Some(_), .. } => {
                        return Err("two other fields have its name already".to_owned());
                    }
                    Emit::OrPacked { packed, .. } => Emit::OrPacked {
                        packed,
                        also: Some(other),
                    },
                    _ => Emit::OrPacked {
                        packed: other,
                        also: None,
                    },
                };
                message.fields[usize::from(other)].emit = Emit::Hidden;
            }
        }
        Ok(())
    }

    fn route(
        &mut self,
        plan: &Plan,
        rpc: usize,
        method: &MethodDescriptor,
        rule: Rule,
    ) -> Result<(), BuildError> {
        let fail = |problem: String| at(method, problem);
        let template = Template::parse(&rule.path)
            .map_err(|problem| fail(format!("its path `{}` is wrong: {problem}", rule.path)))?;
        let http_method = match rule.method.as_str() {
            "*" => None,
            name => Some(
                Method::from_bytes(name.as_bytes())
                    .map_err(|_| fail(format!("`{name}` is not an HTTP method")))?,
            ),
        };
        let (input, output) = (self.rpcs[rpc].input, self.rpcs[rpc].output);
        let mut variables = Vec::new();
        for variable in &template.variables {
            let chain = bind::resolve(plan, input, variable.field.iter().map(String::as_str))
                .map_err(|problem| fail(format!("its path `{}`: {problem}", rule.path)))?;
            if !matches!(bind::takes_text(plan, &chain), Some(Card::One { .. })) {
                let name = variable.field.join(".");
                return Err(fail(format!(
                    "its path binds `{name}`, which is no single value"
                )));
            }
            variables.push(chain);
        }
        let field = |message: u32, name: &str, role: &str| {
            let message = plan.message(message);
            let found = message.by_name(name).map(|(index, _)| index);
            found.ok_or_else(|| {
                fail(format!(
                    "its {role}: {} has no field `{name}`",
                    message.full_name
                ))
            })
        };
        let body = match rule.body.as_str() {
            "" => BodyRule::None,
            "*" => BodyRule::Whole,
            name => BodyRule::Field(field(input, name, "body")?),
        };
        let response_body = match rule.response_body.as_str() {
            "" => None,
            name => Some(field(output, name, "response_body")?),
        };
        let index = self.routes.len();
        if let Err(taken) = self.table.insert(http_method.clone(), &template, index) {
            return Err(BuildError::DuplicateRoute {
                rpc: method.full_name().to_owned(),
                other: self.rpcs[self.routes[taken].rpc].name.to_string(),
                method: rule.method,
                path: rule.path,
            });
        }
        self.routes.push(Route {
            rpc,
            method: http_method,
            template,
            text: rule.path.into(),
            variables,
            body,
            response_body,
        });
        Ok(())
    }
}

/// The first field within reach that is a `google.protobuf.Any`.
fn find_any(plan: &PlanBuilder, root: u32) -> Option<String> {
    let (mut todo, mut seen) = (vec![root], vec![root]);
    while let Some(message) = todo.pop().and_then(|index| plan.get(index)) {
        for field in &message.fields {
            let Kind::Message(inner) = field.kind else {
                continue;
            };
            if plan
                .get(inner)
                .is_some_and(|inner| inner.shape == Shape::Any)
            {
                return Some(format!("{}.{}", message.full_name, field.name));
            }
            if !seen.contains(&inner) {
                seen.push(inner);
                todo.push(inner);
            }
        }
    }
    None
}
