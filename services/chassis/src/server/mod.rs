//! One port for everything: gRPC, gRPC-Web, REST, health, reflection, metrics.
//!
//! A request passes, from the outside in: REST transcoding or gRPC-Web, which make
//! it a gRPC request; then observation, deadline, admission, message-size
//! limits and decompression, which are the same for all three; then its handler.
//! Only a REST request is admitted earlier, before its body is read.

mod accept;
mod admit;
mod auth;
mod compression;
mod config;
mod deadline;
mod door;
mod identify;
mod message_limit;
mod methods;
mod observe;
mod panics;
mod plain;
mod preface;
mod rate;
pub mod signals;
mod step;
mod undecodable;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use signalbox_transcode::{TranscodeLayer, Transcoder, openai_quirks};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;
use tower_service::Service;

pub use self::config::{ApiKey, AuthConfig, LimitsConfig, RateLimit, ServerConfig};
use crate::{
    telemetry::Metrics,
    tls::{self, TlsError},
};

/// What every server serves beside its own services.
const COMMON_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// A year: what is longer is as good as for ever, and must not overflow a clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);

type Request = http::Request<Body>;
type Response = http::Response<Body>;
type ResponseFuture = futures_util::future::BoxFuture<'static, Result<Response, Infallible>>;

/// Why a server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with server.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS cannot start.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configuration makes no sense.
    #[error("{key}: {detail}")]
    Config {
        /// The configuration key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// The contract cannot be served.
    #[error("the contract cannot be served: {0}")]
    Contract(String),
}

/// A server in the making.
pub struct Server {
    config: ServerConfig,
    metrics: Metrics,
    descriptors: &'static [u8],
    routes: RoutesBuilder,
    names: Vec<&'static str>,
}

impl Server {
    /// A server of a contract, given as an encoded `FileDescriptorSet`.
    pub fn new(config: ServerConfig, metrics: Metrics, descriptors: &'static [u8]) -> Self {
        Self {
            config,
            metrics,
            descriptors,
            routes: RoutesBuilder::default(),
            names: Vec::new(),
        }
    }

    /// Adds a gRPC service, with its REST routes, health and reflection.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send,
    {
        self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Listens, so that the address is known before anything is served.
    ///
    /// # Errors
    /// [`ServerError`] when the address, TLS or the contract is wrong.
    pub async fn bind(self) -> Result<Bound, ServerError> {
        let tls = self
            .config
            .tls
            .as_ref()
            .map(tls::server_config)
            .transpose()?;
        let transcoder = self.transcoder()?;
        let health = tonic_health::server::health_reporter();
        let stack = self.stack(&transcoder, health.1)?;
        let cors = plain::cors(&self.config.cors_allowed_origins)?;
        for name in self.names.iter().chain([&""]) {
            health
                .0
                .set_service_status(*name, tonic_health::ServingStatus::Serving)
                .await;
        }
        let address = self.config.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServerError::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| ServerError::Listen { address, source })?;
        let plain = plain::Plain {
            metrics: self.metrics,
            transcoder,
            names: self.names,
            ready: plain::Readiness::ready(),
        };
        Ok(Bound {
            config: self.config,
            listener,
            address,
            tls,
            stack,
            health: health.0,
            plain,
            cors,
        })
    }

    fn transcoder(&self) -> Result<Transcoder, ServerError> {
        Transcoder::builder(self.descriptors)
            .services(&self.names)
            .quirks(openai_quirks())
            .max_request_bytes(self.config.limits.max_request_bytes)
            .max_response_bytes(self.config.limits.max_response_bytes)
            .build()
            .map_err(|error| ServerError::Contract(error.to_string()))
    }

    fn stack<H: tonic_health::pb::health_server::Health>(
        &self,
        transcoder: &Transcoder,
        health: tonic_health::pb::health_server::HealthServer<H>,
    ) -> Result<Stack, ServerError> {
        let contract =
            |error: tonic_reflection::server::Error| ServerError::Contract(error.to_string());
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .include_reflection_service(false)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(
                    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
                )
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // An error's details travel as Any: a client that knows the contract
                // by reflection alone asks here what BadRequest is.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(self.descriptors);
            // Only what is served: the descriptors hold the whole contract.
            self.names
                .iter()
                .chain(&COMMON_SERVICES)
                .fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let routes = self
            .routes
            .clone()
            .routes()
            .add_service(health)
            .add_service(reflection().build_v1().map_err(contract)?)
            .add_service(reflection().build_v1alpha().map_err(contract)?)
            .prepare();
        let methods = Arc::new(
            methods::Methods::of(self.descriptors)
                .map_err(|error| ServerError::Contract(error.to_string()))?,
        );
        let admission = Arc::new(admit::Admission::new(&self.config)?);
        let max_timeout =
            Duration::from_millis(self.config.limits.max_timeout_ms).min(LONGEST_TIMEOUT);
        let service = ServiceBuilder::new()
            .layer(step::layer(door::Door::new(
                Arc::clone(&admission),
                transcoder.clone(),
                max_timeout,
            )))
            .layer(TranscodeLayer(transcoder.clone()))
            .layer(step::layer(plain::OnlyGrpc))
            .layer(GrpcWebLayer::new())
            .layer(step::layer(observe::Observe::new(methods)))
            .layer(step::layer(deadline::Deadline::new(max_timeout)))
            .layer(step::layer(admit::Admit::new(Arc::clone(&admission))))
            .layer_fn({
                let limit = self.config.limits.max_request_bytes;
                move |inner| message_limit::MessageLimit::new(inner, limit)
            })
            .layer(step::layer(compression::Compression::new(
                self.config.limits.max_request_bytes,
            )))
            .layer(step::layer(undecodable::Undecodable))
            .layer(step::layer(panics::CatchPanics))
            .service(routes);
        Ok(Stack {
            service: tower::util::BoxCloneSyncService::new(service),
            admission,
        })
    }
}

/// The layers over all services, and what has to be tidied now and then.
struct Stack {
    service: tower::util::BoxCloneSyncService<Request, Response, Infallible>,
    admission: Arc<admit::Admission>,
}

/// A server that listens and does not serve yet.
pub struct Bound {
    config: ServerConfig,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    stack: Stack,
    health: tonic_health::server::HealthReporter,
    plain: plain::Plain,
    cors: Option<tower_http::cors::CorsLayer>,
}

impl Bound {
    /// The address, its port known.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that reaches it.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.tls.is_some() { "https" } else { "http" },
            self.address
        )
    }

    /// Serves until `shutdown`, then drains: readiness off first, then no new
    /// connections, then requests in flight get `drain_timeout_ms` to finish.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) {
        let ready = self.plain.ready.clone();
        let upkeep = upkeep(
            self.plain.metrics.clone(),
            Arc::clone(&self.stack.admission),
        );
        let names = self.plain.names.clone();
        let app = plain::router(self.plain, self.stack.service, self.cors);
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let accepting = tokio::spawn(accept::run(
            self.listener,
            self.tls,
            app,
            self.config.limits.clone(),
            stop.clone(),
            cut.clone(),
        ));

        shutdown.await;
        tracing::info!("draining: no new requests");
        ready.set_draining();
        for name in names.iter().chain([&""]) {
            self.health
                .set_service_status(*name, tonic_health::ServingStatus::NotServing)
                .await;
        }
        tokio::time::sleep(Duration::from_millis(self.config.drain_delay_ms)).await;
        stop.cancel();
        let left = Duration::from_millis(self.config.drain_timeout_ms);
        // A watch of the health has no end of its own and would hold its connection.
        for name in names.iter().chain([&""]) {
            self.health.clear_service_status(name).await;
        }
        let mut accepting = accepting;
        match tokio::time::timeout(left, &mut accepting).await {
            Ok(_) => tracing::info!("drained"),
            Err(_) => {
                cut.cancel();
                // It only closes what is open now.
                let _ = accepting.await;
                tracing::warn!(
                    timeout_ms = self.config.drain_timeout_ms,
                    "requests cut off by the drain timeout"
                );
            }
        }
        upkeep.abort();
    }
}

fn upkeep(metrics: Metrics, admission: Arc<admit::Admission>) -> tokio::task::AbortHandle {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            metrics.upkeep();
            admission.forget_idle_callers();
        }
    })
    .abort_handle()
}
