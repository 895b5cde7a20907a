//! The names of all methods, so that metrics and spans only ever hold known ones.

use std::{collections::HashMap, sync::Arc};

use metrics::SharedString;
use prost::Message as _;
use tonic_reflection::pb::{v1, v1alpha};

/// One method.
pub(super) struct Method {
    /// `package.Service/Method`.
    pub(super) full: Arc<str>,
    pub(super) service: Arc<str>,
    pub(super) method: Arc<str>,
}

impl Method {
    fn new(service: &str, method: &str) -> Arc<Self> {
        let full = format!("{service}/{method}").into();
        Arc::new(Self {
            full,
            service: service.into(),
            method: method.into(),
        })
    }

    pub(super) fn labels(&self) -> [(&'static str, SharedString); 2] {
        let shared = |name: &Arc<str>| SharedString::from_shared(Arc::clone(name));
        [
            ("service", shared(&self.service)),
            ("method", shared(&self.method)),
        ]
    }
}

/// All methods that are served.
pub(super) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
}

impl Methods {
    pub(super) fn of(descriptors: &[u8]) -> Result<Self, prost::DecodeError> {
        let mut by_path = HashMap::new();
        let common = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
        ];
        for set in [descriptors].into_iter().chain(common) {
            for file in prost_types::FileDescriptorSet::decode(set)?.file {
                for service in &file.service {
                    let name = format!("{}.{}", file.package(), service.name());
                    for method in &service.method {
                        let path = format!("/{name}/{}", method.name());
                        by_path.insert(path, Method::new(&name, method.name()));
                    }
                }
            }
        }
        Ok(Self {
            by_path,
            unknown: Method::new("unknown", "unknown"),
        })
    }

    pub(super) fn get(&self, path: &str) -> &Arc<Method> {
        self.by_path.get(path).unwrap_or(&self.unknown)
    }
}
