//! What a detector is: patterns that find candidates cheaply, and a function that
//! judges each one.
//!
//! The split is what keeps sixty detectors at the price of one: all patterns live in
//! a single automaton that reads the text once, and the judges, which know check
//! digits and context, only see the few spans that the automaton proposes. A new
//! detector is one file here and one line in [`registry`].

mod account_number;
mod age;
mod api_key;
mod au_abn;
mod au_medicare;
mod au_tfn;
mod boundary;
mod br_cnpj;
mod br_cpf;
mod ca_sin;
mod checksum;
mod context;
mod coordinates;
mod credential;
mod credit_card;
mod crypto_address;
mod dates;
mod de_id_card;
mod de_tax_id;
mod device_serial;
mod domain;
mod email;
mod es_dni;
mod eu_vat;
mod fr_nir;
mod health_plan_number;
mod iban;
mod imei;
mod in_aadhaar;
mod in_pan;
mod ip_address;
mod it_fiscal_code;
mod jwt;
mod labelled;
mod license_plate;
mod mac_address;
mod medical_record_number;
mod nl_bsn;
mod phone;
mod pl_pesel;
mod private_key;
pub(crate) mod registry;
mod top_level;
mod uk_nhs;
mod uk_nino;
mod url;
mod us_bank_account;
mod us_dea;
mod us_driver_license;
mod us_itin;
mod us_mbi;
mod us_npi;
mod us_passport;
mod us_routing_number;
mod us_ssn;
mod us_zip_code;
mod vin;
mod weigh;

use std::{borrow::Cow, ops::Range};

pub(crate) use self::context::{ContextIndex, Surroundings};

/// One kind of thing to find.
#[derive(Debug)]
pub(crate) struct Detector {
    /// The name that a request uses, such as `email`.
    pub(crate) name: &'static str,
    /// The type that a finding carries, such as `EMAIL`.
    pub(crate) kind: &'static str,
    /// What it finds and how it checks it, for `ListDetectors`.
    pub(crate) description: &'static str,
    /// Whether it runs when neither request nor configuration names detectors.
    pub(crate) default_on: bool,
    /// Lower-case words that, near a candidate, speak for it; judges ask for them with
    /// [`Candidate::has_context`].
    pub(crate) context: &'static [&'static str],
    /// What candidates look like.
    pub(crate) patterns: &'static [Pattern],
    /// Judges a candidate: `None` when it is not what it looks like.
    pub(crate) validate: fn(&Candidate<'_>) -> Option<Verdict>,
}

/// A regular expression over the syntax of `regex-automata` (no look-around but the
/// ASCII `(?-u:\b)`), and how its matches become candidates.
///
/// Unless it is [`Reach::Around`], a match begins at a *token start*: a letter or digit
/// with no ASCII letter or digit before it, or any other sign.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Named in the finding's reasons as `pattern:{name}`.
    pub(crate) name: &'static str,
    /// The expression; never one that matches the empty string.
    pub(crate) regex: &'static str,
    /// Which of the expression's overlapping matches become candidates.
    pub(crate) reach: Reach,
}

/// Which of a pattern's overlapping matches the detector wants to judge. All have a
/// bound in bytes, which keeps the work linear in the length of the text and the delay of a
/// stream finite.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// Every match of at most this many bytes, overlapping ones included: for
    /// numbers, where the longest reading may fail its check digit and a shorter
    /// one pass.
    Every(usize),
    /// As [`Self::Every`], of a code: its first run of letters and digits, of which the first
    /// [`crate::scan::LETTERS`] at most are letters alone, holds a digit. Words do not, so
    /// prose is never walked for it.
    Code(usize),
    /// Only the longest match from a token start, of at most this many bytes, and none
    /// that begins inside of it: for shapes where a shorter reading is only a part. Past
    /// [`crate::scan::SHORT`] bytes a pattern has an automaton of its own, so that it reads
    /// no byte twice.
    Longest(usize),
    /// A word of at least [`crate::scan::SHORTEST_RUN`] letters and digits, at most this
    /// long, that matches as a whole: for addresses and keys that begin as any word does.
    Run(usize),
    /// The longest match to both sides of a sign; the expression begins with the sign. Signs
    /// that the right side reads over are not tried again.
    Around {
        /// The sign: one ASCII byte.
        sign: u8,
        /// What stands before it.
        left: &'static str,
        /// Where it may have begun while the sign is still to come.
        pending: Pending,
        /// Bytes that are read before the sign at most.
        most_left: usize,
        /// Bytes that are read from the sign on at most.
        most_right: usize,
    },
}

/// Where the left side of a sign that is still to come may have begun.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pending {
    /// Where a match begins that ends here: every beginning of a left side is one.
    Match,
    /// At this quote, with which every left side opens.
    Quote(u8),
}

/// A span that one of a detector's patterns matched, and what stands around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'t> {
    /// The text around the span, as far as a judge may look: the last bytes before and
    /// the first ones after it.
    pub(crate) text: &'t str,
    /// First byte of the span in `text`.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// The name of the pattern that matched.
    pub(crate) pattern: &'static str,
    /// The detector's place in the registry.
    pub(crate) detector: usize,
    /// Where `text` begins in the whole text.
    pub(crate) offset: usize,
    /// What the words around it speak for.
    pub(crate) surroundings: &'t Surroundings<'t>,
}

impl<'t> Candidate<'t> {
    /// The matched text.
    pub(crate) fn value(&self) -> &'t str {
        &self.text[self.start..self.end]
    }

    /// The span, for [`Verdict::new`].
    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether one of the detector's words of context stands near; see [`context`].
    pub(crate) fn has_context(&self) -> bool {
        let set = self
            .surroundings
            .speak_for(self.text, self.span(), self.offset);
        set & 1 << self.detector != 0
    }

    /// Whether one of these lower-case words stands near; see [`context`].
    pub(crate) fn near(&self, words: &[&str]) -> bool {
        context::word_near(self.text, self.span(), words)
    }
}

/// A judge's yes.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The bytes to report: the candidate's, or a part of them.
    pub(crate) span: Range<usize>,
    /// How sure, 0 to 1.
    pub(crate) score: f64,
    /// The checks that passed.
    pub(crate) reasons: Vec<Cow<'static, str>>,
}

impl Verdict {
    /// A yes for these bytes; add reasons with [`Self::because`].
    pub(crate) fn new(span: Range<usize>, score: f64) -> Self {
        Self {
            span,
            score,
            reasons: Vec::new(),
        }
    }

    /// Adds a reason.
    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reasons.push(Cow::Borrowed(reason));
        self
    }
}
