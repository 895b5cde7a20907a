//! Kong's configuration routes every path of the contract once and the right way, and
//! holds no secret.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

mod common;

use std::collections::BTreeSet;

use regex_automata::meta::Regex;
use serde_json::Value;
use signalbox_edge_view::{
    contract::Rpc,
    files::{FOLDER, samples},
    kong::{CACHED, OPERATORS, Target},
    way::{OPENAI, Way, way},
};

/// A route with its service.
struct Route<'y> {
    service: &'y Value,
    route: &'y Value,
}

impl Route<'_> {
    fn name(&self) -> &str {
        self.route["name"].as_str().unwrap()
    }

    fn service_name(&self) -> &str {
        self.service["name"].as_str().unwrap()
    }

    fn protocols(&self) -> Vec<&str> {
        strings(&self.route["protocols"])
    }

    /// As Kong does it: a `~` begins a regular expression, anchored at the path's begin.
    fn matches(&self, verb: Option<&str>, path: &str) -> bool {
        let methods = &self.route["methods"];
        if verb.is_some_and(|verb| !strings(methods).contains(&verb)) {
            return false;
        }
        strings(&self.route["paths"]).into_iter().any(|pattern| {
            let expression = pattern.strip_prefix('~').unwrap();
            Regex::new(&format!("^{expression}"))
                .unwrap()
                .is_match(path)
        })
    }

    fn plugin(&self, name: &str) -> Option<&Value> {
        find_plugin(&self.route["plugins"], name)
    }
}

fn find_plugin<'y>(plugins: &'y Value, name: &str) -> Option<&'y Value> {
    plugins
        .as_array()?
        .iter()
        .find(|plugin| plugin["name"] == name)
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .map(|all| all.iter().map(|it| it.as_str().unwrap()).collect())
        .unwrap_or_default()
}

fn configuration(target: Target) -> Value {
    let text = common::read(&format!("{FOLDER}/{}", target.file()));
    serde_saphyr::from_str(&text).unwrap()
}

fn routes(configuration: &Value) -> Vec<Route<'_>> {
    let services = configuration["services"].as_array().unwrap().iter();
    let routes = services.flat_map(|service| {
        service["routes"]
            .as_array()
            .unwrap()
            .iter()
            .map(move |route| Route { service, route })
    });
    routes.collect()
}

/// The one route for a REST request.
fn rest<'y, 'r>(all: &'r [Route<'y>], rpc: &Rpc, verb: &str, path: &str) -> &'r Route<'y> {
    let found: Vec<&Route<'_>> = all
        .iter()
        .filter(|route| route.protocols().contains(&"http") && route.matches(Some(verb), path))
        .collect();
    let names: Vec<&str> = found.iter().map(|route| route.name()).collect();
    assert_eq!(
        names.len(),
        1,
        "{}: {verb} {path} is routed by {names:?}",
        rpc.full_name()
    );
    found[0]
}

#[test]
fn every_rest_path_is_routed_once_and_the_right_way() {
    let contract = common::contract();
    for target in Target::ALL {
        let configuration = configuration(target);
        let all = routes(&configuration);
        let mut used = BTreeSet::new();
        let mut transcoded = 0;
        for rpc in &contract.rpcs {
            for (verb, path) in samples(rpc) {
                let route = rest(&all, rpc, &verb, &path);
                used.insert(route.name().to_owned());
                let edge = find_plugin(&route.service["plugins"], "grpc-gateway");
                if way(rpc).unwrap() == Way::Transcoded {
                    transcoded += 1;
                    assert_eq!(route.service["protocol"], "grpc", "{path}");
                    assert!(route.service_name().ends_with("-edge"), "{path}");
                    let view = edge.unwrap()["config"]["proto"].as_str().unwrap();
                    let view = view.rsplit('/').next().unwrap();
                    let text = common::read(&format!("{FOLDER}/edge/{view}"));
                    assert!(
                        text.contains(&format!("rpc {}(", rpc.method.name())),
                        "{view}"
                    );
                } else {
                    assert_eq!(route.service["protocol"], "http", "{path}");
                    assert!(
                        edge.is_none() && route.plugin("grpc-gateway").is_none(),
                        "{path}"
                    );
                }
                if OPENAI.contains(&rpc.full_name()) || rpc.is_streaming() {
                    assert_eq!(route.route["response_buffering"], false, "{path}");
                    assert!(route.service_name().ends_with("-rest"), "{path}");
                }
                assert_eq!(route.route["strip_path"], false, "{path}");
                assert!(
                    strings(&route.route["methods"]).contains(&"OPTIONS"),
                    "{path}: CORS"
                );
            }
        }
        assert!(transcoded > 10, "{transcoded}");
        for route in all
            .iter()
            .filter(|route| route.protocols().contains(&"http"))
        {
            assert!(
                used.contains(route.name()),
                "{} routes nothing",
                route.name()
            );
        }
    }
}

#[test]
fn every_rpc_has_one_native_route_and_operators_theirs() {
    let contract = common::contract();
    for target in Target::ALL {
        let configuration = configuration(target);
        let all = routes(&configuration);
        for rpc in &contract.rpcs {
            let found: Vec<&Route<'_>> = all
                .iter()
                .filter(|route| route.protocols() == ["grpc", "grpcs"])
                .filter(|route| route.matches(None, &rpc.grpc_path()))
                .collect();
            assert_eq!(found.len(), 1, "{}", rpc.full_name());
            assert_eq!(found[0].service["protocol"], "grpc");
            let mut routes = vec![found[0]];
            for (verb, path) in samples(rpc) {
                routes.push(rest(&all, rpc, &verb, &path));
            }
            let operators = OPERATORS.contains(&rpc.full_name());
            for route in routes {
                let acl = route
                    .plugin("acl")
                    .map(|acl| strings(&acl["config"]["allow"]));
                assert_eq!(
                    acl,
                    operators.then(|| vec!["operators"]),
                    "{}",
                    route.name()
                );
            }
        }
        for name in OPERATORS.iter().chain(&CACHED) {
            assert!(
                contract.rpcs.iter().any(|rpc| rpc.full_name() == *name),
                "{name}"
            );
        }
    }
}

#[test]
fn paths_that_are_not_the_contracts_are_not_routed() {
    let configuration = configuration(Target::Cluster);
    let all = routes(&configuration);
    for path in [
        "/",
        "/metrics",
        "/v1/models/x",
        "/v1/embeddings/jobs/a/b",
        "/v1/router:explain2",
        "/v1/embeddings/jobs/a:delete",
        "/signalbox.router.v1.RouterService/GetUsageX",
        "/grpc.health.v1.Health/Check",
    ] {
        let found: Vec<&str> = all
            .iter()
            .filter(|it| it.matches(None, path))
            .map(Route::name)
            .collect();
        assert_eq!(found, Vec::<&str>::new(), "{path}");
    }
}

#[test]
fn names_are_unique() {
    let configuration = configuration(Target::Cluster);
    let mut seen = BTreeSet::new();
    for route in routes(&configuration) {
        assert!(seen.insert(route.name().to_owned()), "{}", route.name());
    }
}

#[test]
fn only_answers_without_a_caller_are_cached() {
    let configuration = configuration(Target::Cluster);
    let all = routes(&configuration);
    let cached: Vec<&str> = all
        .iter()
        .filter(|it| it.plugin("proxy-cache").is_some())
        .map(Route::name)
        .collect();
    assert_eq!(cached, ["router-list-models"]);
    let plugins = configuration["plugins"].as_array().unwrap();
    assert!(plugins.iter().all(|plugin| plugin["name"] != "proxy-cache"));
    for name in CACHED {
        let contract = common::contract();
        let rpc = contract
            .rpcs
            .iter()
            .find(|rpc| rpc.full_name() == name)
            .unwrap();
        assert!(rpc.bindings.iter().all(|it| it.verb == "GET"));
        assert_eq!(
            rpc.method.input().fields().len(),
            0,
            "{name}: nothing to tell callers apart"
        );
        assert_ne!(
            way(rpc).unwrap(),
            Way::Transcoded,
            "{name}: the cache would not see a GET"
        );
    }
}

#[test]
fn secrets_are_references() {
    fn walk(value: &Value, key: &str, wrong: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(key, value)| walk(value, key, wrong));
            }
            Value::Array(all) => all.iter().for_each(|value| walk(value, key, wrong)),
            Value::String(text) => {
                let secret = ["key", "password", "secret", "rsa_public_key"].contains(&key);
                let reference = text.contains("${{ env \"") || text.starts_with("{vault://env/");
                if secret && !reference && !text.is_empty() && text != "unused" {
                    wrong.push(format!("{key}: {text}"));
                }
            }
            _ => {}
        }
    }
    for target in Target::ALL {
        let mut wrong = Vec::new();
        walk(&configuration(target), "", &mut wrong);
        assert_eq!(wrong, Vec::<String>::new());
    }
}

/// The plugin takes a body that nginx did not keep in memory for an empty one.
#[test]
fn a_body_that_passes_the_guard_fits_in_memory() {
    let configuration = configuration(Target::Cluster);
    for service in configuration["services"].as_array().unwrap() {
        let name = service["name"].as_str().unwrap();
        if name.ends_with("-edge") {
            let guard = find_plugin(&service["plugins"], "pre-function").expect(name);
            let code = strings(&guard["config"]["access"]).concat();
            assert!(code.contains("size > 16 * 1024 * 1024"), "{name}");
        } else if name.ends_with("-rest") {
            let limit = find_plugin(&service["plugins"], "request-size-limiting").expect(name);
            assert_eq!(limit["config"]["allowed_payload_size"], 16, "{name}");
            assert_eq!(limit["config"]["size_unit"], "megabytes", "{name}");
        } else {
            // A size limit would read a whole stream first.
            assert!(service["plugins"].is_null(), "{name}");
        }
    }
    let deployment = common::read(&format!("{FOLDER}/deployment.yaml"));
    let deployment: Value = serde_saphyr::from_str(&deployment).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let buffer = container["env"].as_array().unwrap().iter();
    let buffer: Vec<&Value> = buffer
        .filter(|it| it["name"] == "KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE")
        .map(|it| &it["value"])
        .collect();
    assert_eq!(buffer, ["16m"]);
}

/// What the policy uses is switched on, and nothing else.
#[test]
fn kong_loads_the_plugins_that_are_used() {
    fn collect(value: &Value, names: &mut BTreeSet<String>) {
        if let Value::Object(fields) = value {
            if let Some(Value::Array(plugins)) = fields.get("plugins") {
                names.extend(
                    plugins
                        .iter()
                        .map(|it| it["name"].as_str().unwrap().to_owned()),
                );
            }
            fields.values().for_each(|value| collect(value, names));
        } else if let Value::Array(all) = value {
            all.iter().for_each(|value| collect(value, names));
        }
    }
    let mut used = BTreeSet::new();
    collect(&configuration(Target::Cluster), &mut used);
    let deployment = common::read(&format!("{FOLDER}/deployment.yaml"));
    let deployment: Value = serde_saphyr::from_str(&deployment).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let loaded = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "KONG_PLUGINS");
    let loaded = loaded.unwrap()["value"].as_str().unwrap();
    let loaded: BTreeSet<String> = loaded.split(',').map(str::to_owned).collect();
    assert_eq!(used, loaded);
}
