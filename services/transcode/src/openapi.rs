//! OpenAPI (stub).
/// Info.
pub struct Info;
