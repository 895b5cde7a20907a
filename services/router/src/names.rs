//! The name that a person probably meant.

/// The known name nearest to `name`, if any is near enough to be a slip of the
/// fingers: a third of its characters may differ.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`? ` where a near name exists, else nothing.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("did you mean `{near}`? "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_none() {
        let known = ["gpt-4o-mini", "gpt-4o", "auto"];
        assert_eq!(nearest("gpt-4o-mni", known), Some("gpt-4o-mini"));
        assert_eq!(nearest("GPT-4O", known), Some("gpt-4o"));
        assert_eq!(nearest("atuo", known), Some("auto"));
        assert_eq!(nearest("claude", known), None);
        assert_eq!(nearest("", known), None);
    }
}
