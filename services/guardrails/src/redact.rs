//! Writing labels in place of what was found.

use crate::finding::Finding;

/// `text` with the span of each finding replaced by `<TYPE>`. `findings` are in text
/// order and do not overlap.
pub(crate) fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut from = 0;
    for finding in findings {
        redacted.push_str(&text[from..finding.start_byte]);
        write_label(&mut redacted, finding);
        from = finding.end_byte;
    }
    redacted.push_str(&text[from..]);
    redacted
}

/// Appends the label of `finding`.
pub(crate) fn write_label(redacted: &mut String, finding: &Finding) {
    redacted.push('<');
    redacted.push_str(&finding.kind);
    redacted.push('>');
}
