//! Connects the commands to a running server.

use std::{error::Error, time::Duration};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::{Interceptor, interceptor::InterceptedService};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

/// Where the server is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:7000", env = "SIGNALBOX_URL")]
    pub(crate) url: String,
    /// The API key, where the server asks for one.
    #[arg(long, env = "SIGNALBOX_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
}

/// A channel that sends the key along.
pub(crate) type Connection = InterceptedService<Channel, SendKey>;

/// Adds the key to every request.
#[derive(Clone)]
pub(crate) struct SendKey(Option<MetadataValue<Ascii>>);

impl Interceptor for SendKey {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("x-api-key", key.clone());
        }
        Ok(request)
    }
}

impl ServerArgs {
    pub(crate) async fn connect(&self) -> Result<Connection, Box<dyn Error + Send + Sync>> {
        let bad_url =
            |error: tonic::transport::Error| format!("--url: `{}` is no URL: {error}", self.url);
        let endpoint = Endpoint::from_shared(self.url.clone())
            .map_err(bad_url)?
            .connect_timeout(Duration::from_secs(2));
        let channel = endpoint.connect().await.map_err(|_| {
            format!(
                "no server at {}; start one with `signalbox up`, or name one with --url",
                self.url
            )
        })?;
        let key = self
            .api_key
            .as_deref()
            .map(MetadataValue::try_from)
            .transpose();
        let mut key = key.map_err(|_| "--api-key: holds characters that no header can")?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        Ok(InterceptedService::new(channel, SendKey(key)))
    }
}

/// A server's refusal as a person reads it.
pub(crate) fn refusal(status: &Status) -> String {
    match status.code() {
        Code::Unauthenticated => format!(
            "{}; give one with --api-key or SIGNALBOX_API_KEY",
            status.message()
        ),
        _ => status.message().to_owned(),
    }
}
