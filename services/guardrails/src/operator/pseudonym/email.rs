//! Addresses at the domains that RFC 2606 keeps for examples.

use super::{
    Seed,
    name::{FAMILY, GIVEN},
};

const DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

pub(super) fn surrogate(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let (local, domain) = value.rsplit_once('@')?;
    let mut draw = seed.draw("email", &value.to_lowercase());
    // People of one company stay at one domain.
    let mut of_domain = seed.draw("email-domain", &domain.to_lowercase());
    let made = format!(
        "{}.{}{}@{}",
        draw.one_of(&GIVEN),
        draw.one_of(&FAMILY),
        10 + draw.below(9_990),
        of_domain.one_of(&DOMAINS)
    );
    let upper = local.chars().any(char::is_uppercase) && !local.chars().any(char::is_lowercase);
    Some(if upper {
        made.to_uppercase()
    } else {
        made.to_lowercase()
    })
}
