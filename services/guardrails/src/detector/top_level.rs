//! Top-level domains, sorted by how much a name under one proves: `example.com` is a
//! host wherever it stands, `main.rs` is a file although Serbia exists.
//!
//! The names are facts of <https://data.iana.org/TLD/tlds-alpha-by-domain.txt>.

/// How much a top-level domain proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A host, also when it stands alone.
    Host,
    /// As likely a file or the next sentence: a host only with `www.` or the like.
    Doubtful,
}

/// Generic domains that are no word of any programming language. Sorted.
#[rustfmt::skip]
const GENERIC: [&str; 48] = [
    "academy", "aero", "agency", "arpa", "asia", "bank", "biz", "blog", "capital", "center",
    "cloud", "club", "com", "community", "company", "coop", "design", "digital", "edu", "email",
    "eu", "expert", "gov", "guru", "health", "hospital", "info", "insurance", "int", "jobs",
    "mil", "mobi", "museum", "net", "network", "online", "org", "pro", "services", "shop", "site",
    "solutions", "store", "systems", "tech", "travel", "website", "xyz",
];

/// Domains that are also endings of files, members of objects, or words that follow
/// a full stop without a space. Sorted.
#[rustfmt::skip]
const DOUBTFUL: [&str; 43] = [
    "ag", "ai", "am", "app", "as", "at", "be", "by", "cc", "cd", "co", "dev", "do", "gg", "gl",
    "id", "in", "is", "it", "live", "md", "me", "ml", "mm", "mo", "mp", "ms", "my", "name", "no",
    "page", "pl", "ps", "py", "rs", "sh", "so", "st", "to", "top", "tv", "us", "vc",
];

/// Countries whose two letters mean nothing else in running text. Sorted.
#[rustfmt::skip]
const COUNTRIES: [&str; 207] = [
    "ac", "ad", "ae", "af", "al", "ao", "aq", "ar", "au", "aw", "ax", "az", "ba", "bb", "bd",
    "bf", "bg", "bh", "bi", "bj", "bm", "bn", "bo", "br", "bs", "bt", "bw", "bz", "ca", "cf",
    "cg", "ch", "ci", "ck", "cl", "cm", "cn", "cr", "cu", "cv", "cw", "cx", "cy", "cz", "de",
    "dj", "dk", "dm", "dz", "ec", "ee", "eg", "er", "es", "et", "fi", "fj", "fk", "fm", "fo",
    "fr", "ga", "gd", "ge", "gf", "gh", "gi", "gm", "gn", "gp", "gq", "gr", "gs", "gt", "gu",
    "gw", "gy", "hk", "hm", "hn", "hr", "ht", "hu", "ie", "il", "im", "io", "iq", "ir", "je",
    "jm", "jo", "jp", "ke", "kg", "kh", "ki", "km", "kn", "kp", "kr", "kw", "ky", "kz", "la",
    "lb", "lc", "li", "lk", "lr", "ls", "lt", "lu", "lv", "ly", "ma", "mc", "mg", "mh", "mk",
    "mn", "mq", "mr", "mt", "mu", "mv", "mw", "mx", "mz", "na", "nc", "ne", "nf", "ng", "ni",
    "nl", "np", "nr", "nu", "nz", "om", "pa", "pe", "pf", "pg", "ph", "pk", "pm", "pn", "pr",
    "pt", "pw", "qa", "re", "ro", "ru", "rw", "sa", "sb", "sc", "sd", "se", "sg", "si", "sk",
    "sl", "sm", "sn", "sr", "ss", "su", "sv", "sx", "sy", "sz", "tc", "td", "tf", "tg", "th",
    "tj", "tk", "tl", "tm", "tn", "tr", "tt", "tw", "tz", "ua", "ug", "uk", "uy", "uz", "va",
    "ve", "vg", "vi", "vn", "vu", "wf", "ws", "ye", "yt", "za", "zm", "zw",
];

/// What `top`, in any case, proves; `None` when it is no top-level domain we know.
pub(super) fn proof(top: &str) -> Option<Proof> {
    let mut lower = [0; 16];
    let lower = lower.get_mut(..top.len())?;
    lower.copy_from_slice(top.as_bytes());
    lower.make_ascii_lowercase();
    let among = |known: &[&str]| {
        let order = |name: &&str| name.as_bytes().cmp(lower);
        known.binary_search_by(order).is_ok()
    };
    if among(&GENERIC) || among(&COUNTRIES) {
        Some(Proof::Host)
    } else if among(&DOUBTFUL) {
        Some(Proof::Doubtful)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_apart() {
        for list in [&GENERIC[..], &COUNTRIES, &DOUBTFUL] {
            assert!(list.is_sorted_by(|a, b| a < b));
        }
        let told = |name: &&&str| GENERIC.contains(*name) || COUNTRIES.contains(*name);
        assert_eq!(DOUBTFUL.iter().find(told), None);
    }

    #[test]
    fn a_file_ending_proves_less_than_a_country() {
        assert_eq!(proof("DE"), Some(Proof::Host));
        assert_eq!(proof("rs"), Some(Proof::Doubtful));
        assert_eq!(proof("jpeg"), None);
        assert_eq!(proof("averyveryverylongone"), None);
    }
}
