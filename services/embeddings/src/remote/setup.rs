//! From a model's configuration to what sends its requests: the URL, the key, the HTTP
//! client. Nothing is sent yet, and whatever is wrong is said with the setting's name.

use std::{io, path::Path, time::Duration};

use http::HeaderValue;
use reqwest::{Client, Url, redirect};
use signalbox_chassis::config::Secret;

use super::{RemoteConfig, RemoteConfigError, error::describe};
use crate::request::MAX_MODEL_BYTES;

/// Checks what can be wrong with the settings by themselves.
pub(super) fn check(name: &str, config: &RemoteConfig) -> Result<(), RemoteConfigError> {
    let model = name.to_owned();
    if name.is_empty() || name.len() > MAX_MODEL_BYTES {
        return Err(RemoteConfigError::Name { model });
    }
    if config.model.is_empty() {
        return Err(RemoteConfigError::Model { model });
    }
    if config.dimensions == 0 {
        return Err(RemoteConfigError::Dimensions { model });
    }
    let shorter = |length: &u32| (1..config.dimensions).contains(length);
    if !config.matryoshka_dimensions.iter().all(shorter) {
        return Err(RemoteConfigError::Matryoshka { model });
    }
    Ok(())
}

/// Where requests go.
pub(super) fn endpoint(name: &str, config: &RemoteConfig) -> Result<Url, RemoteConfigError> {
    let refused = |detail: String| RemoteConfigError::BaseUrl {
        model: name.to_owned(),
        detail,
    };
    let api = config.kind.api();
    let base = config.base_url.as_deref().unwrap_or(api.base_url());
    let url = format!("{}{}", base.trim_end_matches('/'), api.path());
    let url = Url::parse(&url).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(refused(format!(
            "its scheme is {scheme}, not http or https"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds credentials; use api_key_env".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment".to_owned()));
    }
    Ok(url)
}

/// The key that the configuration refers to.
pub(super) fn key(
    name: &str,
    config: &RemoteConfig,
    environment: impl Fn(&str) -> Option<String>,
    read: impl Fn(&Path) -> io::Result<String>,
) -> Result<Option<Secret>, RemoteConfigError> {
    let model = name.to_owned();
    let (setting, place, found) = match (&config.api_key_env, &config.api_key_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(RemoteConfigError::TwoKeys { model }),
        (Some(variable), None) => (
            "api_key_env",
            format!("the environment variable {variable}"),
            environment(variable),
        ),
        (None, Some(path)) => (
            "api_key_file",
            format!("the file {}", path.display()),
            read(path).ok(),
        ),
    };
    // Blanks around a key are a copying mistake.
    let key = found.map(|key| Secret::new(key.trim()));
    match key.filter(|key| !key.is_empty() && header(key).is_some()) {
        Some(key) => Ok(Some(key)),
        None => Err(RemoteConfigError::ApiKey {
            model,
            setting,
            place,
        }),
    }
}

/// The `Authorization` header.
pub(super) fn header(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The HTTP client, with a pool of connections.
pub(super) fn client(
    name: &str,
    config: &RemoteConfig,
    url: &Url,
) -> Result<Client, RemoteConfigError> {
    // The client has no cryptography of its own. Err means that the process already
    // has a provider, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .tcp_nodelay(true)
        // Texts go to the configured host and to no other.
        .redirect(redirect::Policy::none());
    if !config.proxy_from_environment {
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" {
        // Nothing to verify, so a machine without root certificates can run this too.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| RemoteConfigError::Client {
        model: name.to_owned(),
        detail: describe(error),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn key_of(env: Option<&str>, file: Option<&str>) -> Result<Option<Secret>, RemoteConfigError> {
        let config = RemoteConfig {
            api_key_env: env.map(str::to_owned),
            api_key_file: file.map(Into::into),
            ..RemoteConfig::default()
        };
        let environment = |name: &str| (name == "KEY").then(|| " sk-secret\n".to_owned());
        let read = |path: &Path| match path.ends_with("key") {
            true => Ok("sk-file\n".to_owned()),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        key("m", &config, environment, read)
    }

    #[test]
    fn a_key_comes_from_the_variable_or_the_file_and_shows_itself_nowhere() {
        let key = key_of(Some("KEY"), None).unwrap().unwrap();
        assert_eq!(header(&key).unwrap(), "Bearer sk-secret");
        assert!(!format!("{key:?} {:?}", header(&key)).contains("secret"));
        let key = key_of(None, Some("/run/key")).unwrap().unwrap();
        assert_eq!(key.expose(), "sk-file");
        assert_eq!(key_of(None, None), Ok(None));
        for (env, file, parts) in [
            (Some("NONE"), None, ["remote_models.m.api_key_env", "NONE"]),
            (
                None,
                Some("/none"),
                ["remote_models.m.api_key_file", "/none"],
            ),
            (
                Some("KEY"),
                Some("/run/key"),
                ["remote_models.m", "not both"],
            ),
        ] {
            let error = key_of(env, file).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_an_error() {
        for url in [
            "",
            "host:80",
            "ftp://host",
            "http://me:pw@host",
            "http://host?a=b",
        ] {
            let config = RemoteConfig {
                base_url: Some(url.to_owned()),
                ..RemoteConfig::default()
            };
            let refused = endpoint("m", &config);
            assert!(
                matches!(refused, Err(RemoteConfigError::BaseUrl { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn settings_that_make_no_model_are_named() {
        let whole = RemoteConfig {
            model: "big".to_owned(),
            dimensions: 8,
            matryoshka_dimensions: vec![7, 1],
            ..RemoteConfig::default()
        };
        assert_eq!(check("m", &whole), Ok(()));
        let no_model = RemoteConfig {
            model: String::new(),
            ..whole.clone()
        };
        let no_length = RemoteConfig {
            dimensions: 0,
            ..whole.clone()
        };
        let too_long = RemoteConfig {
            matryoshka_dimensions: vec![8],
            ..whole.clone()
        };
        for (name, config, part) in [
            ("m", no_model, "remote_models.m.model"),
            ("m", no_length, "remote_models.m.dimensions"),
            ("m", too_long, "remote_models.m.matryoshka_dimensions"),
            ("", whole, "remote_models"),
        ] {
            let error = check(name, &config).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
