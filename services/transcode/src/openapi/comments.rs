//! The comments of the `.proto` files, by the full name of what they are about.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;

/// Comments by full name.
#[derive(Debug, Default)]
pub(super) struct Comments {
    by_name: HashMap<String, String>,
}

impl Comments {
    pub(super) fn read(pool: &DescriptorPool) -> Self {
        let mut comments = Self::default();
        for file in pool.files() {
            let proto = file.file_descriptor_proto();
            let locations = proto
                .source_code_info
                .iter()
                .flat_map(|info| &info.location);
            let by_path: HashMap<&[i32], &str> = locations
                .filter_map(|at| Some((at.path.as_slice(), at.leading_comments.as_deref()?)))
                .collect();
            let mut take = |name: &str, path: &[i32]| {
                if let Some(text) = by_path.get(path) {
                    comments.by_name.insert(name.to_owned(), clean(text));
                }
            };
            for service in file.services() {
                take(service.full_name(), service.path());
                for method in service.methods() {
                    take(method.full_name(), method.path());
                }
            }
            let messages = pool
                .all_messages()
                .filter(|message| message.parent_file() == file);
            for message in messages {
                take(message.full_name(), message.path());
                for field in message.fields() {
                    take(field.full_name(), field.path());
                }
            }
            let enums = pool
                .all_enums()
                .filter(|descriptor| descriptor.parent_file() == file);
            for descriptor in enums {
                take(descriptor.full_name(), descriptor.path());
            }
        }
        comments
    }

    pub(super) fn of(&self, full_name: &str) -> Option<&str> {
        self.by_name.get(full_name).map(String::as_str)
    }
}

/// Without the space that stands before every line.
fn clean(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
