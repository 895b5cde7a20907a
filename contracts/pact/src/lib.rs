//! What the gRPC consumers' tests and the verification share: messages by descriptor,
//! the status with its details as JSON, and how a pact names a call.

#![forbid(unsafe_code)]

pub mod dynamic;
pub mod rich_status;

/// The keys of a synchronous message's metadata that make it a gRPC call.
pub mod metadata {
    /// In the request: `package.Service/Method`.
    pub const METHOD: &str = "grpc-method";
    /// In the response: the name of the code, such as `NOT_FOUND`.
    pub const STATUS: &str = "grpc-status";
    /// In the request: `Bearer KEY`.
    pub const AUTHORIZATION: &str = "authorization";
}

/// The provider's key that every consumer's test sends, and the verification's platform
/// accepts. Not a secret: it opens nothing but a server that a test starts.
pub const KEY: &str = "the-key-of-the-pact-tests";

/// The key's SHA-256, as `server.auth.keys` has it.
pub const KEY_SHA256: &str = "0479f4327bb3f29a665040e273245487a691f957a296633efe66344c337869ea";
