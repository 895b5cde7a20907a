//! Page tokens of the list of jobs.
//!
//! A token names the last job of its page, so it stays right however many jobs come
//! and go meanwhile: the next page holds what is older than that job, even where that
//! job has expired. It is opaque: only what this module wrote is accepted.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{error::JobError, job::JobId};

/// The form's version, so that a later form can be told apart.
const VERSION: &str = "1:";

pub(super) fn encode(last: &JobId) -> String {
    URL_SAFE_NO_PAD.encode(format!("{VERSION}{last}"))
}

/// The job that the page comes after; `None` for the first page.
pub(super) fn decode(token: &str) -> Result<Option<JobId>, JobError> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        JobId::parse(text.strip_prefix(VERSION)?)
    };
    let fix = "is no token of ours; send `next_page_token` of the page before, or nothing";
    read()
        .map(Some)
        .ok_or_else(|| JobError::invalid("page_token", fix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_gives_back_its_job(ms in 0..(1u64 << 48), random: u128) {
            let id = JobId::from_ulid(ulid::Ulid::from_parts(ms, random));
            prop_assert_eq!(decode(&encode(&id)), Ok(Some(id)));
        }

        #[test]
        fn anything_else_is_an_error_that_names_the_field(token in ".{1,60}") {
            match decode(&token) {
                Err(JobError::Invalid { field, .. }) => prop_assert_eq!(field, "page_token"),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
