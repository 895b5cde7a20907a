//! Precision and recall per type over a labelled file.
//!
//! `cargo run --example eval -- FILE [MISSES]`: FILE is a JSON array of `{"full_text",
//! "spans": [{"entity_type", "start_position", "end_position"}]}` with positions in
//! characters, as presidio-research writes it. A finding counts when it overlaps a
//! span of its type; MISSES prints up to that many of each kind of error.

use std::{collections::BTreeMap, error::Error, fs::File, io::BufReader};

use serde::Deserialize;
use signalbox_guardrails::{Engine, GuardrailsConfig, Selection};

#[derive(Deserialize)]
struct Row {
    full_text: String,
    spans: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    entity_type: String,
    start_position: usize,
    end_position: usize,
}

#[derive(Default)]
struct Tally {
    found: usize,
    missed: Vec<String>,
    false_alarms: Vec<String>,
    exact: usize,
}

/// Our types for a label's, any of which counts; the first names the row.
fn kinds(label: &str) -> &'static [&'static str] {
    match label {
        "EMAIL_ADDRESS" | "EMAIL" => &["EMAIL"],
        "PHONE_NUMBER" | "PHONE" => &["PHONE"],
        "US_SSN" | "SSN" => &["US_SSN"],
        "CREDIT_CARD" => &["CREDIT_CARD"],
        "IP_ADDRESS" => &["IP_ADDRESS"],
        "IBAN_CODE" | "IBAN" => &["IBAN"],
        "DOMAIN_NAME" | "URL" => &["URL", "DOMAIN_NAME"],
        "DATE_TIME" | "DATE" => &["DATE", "DATE_OF_BIRTH"],
        "US_DRIVER_LICENSE" => &["US_DRIVER_LICENSE"],
        "US_PASSPORT" => &["US_PASSPORT"],
        "US_BANK_NUMBER" => &["US_BANK_ACCOUNT", "ACCOUNT_NUMBER"],
        "US_ITIN" => &["US_ITIN"],
        "CRYPTO" => &["CRYPTO_ADDRESS"],
        "MAC_ADDRESS" => &["MAC_ADDRESS"],
        "UK_NHS" => &["UK_NHS"],
        "MEDICAL_LICENSE" => &["US_DEA", "US_NPI"],
        _ => &[],
    }
}

/// The row that a type of ours is counted in.
fn row_of(kind: &str) -> &str {
    match kind {
        "DOMAIN_NAME" => "URL",
        "DATE_OF_BIRTH" => "DATE",
        "ACCOUNT_NUMBER" => "US_BANK_ACCOUNT",
        "US_NPI" => "US_DEA",
        other => other,
    }
}

/// Types that run only when they are named.
const NAMED: [&str; 3] = ["url", "domain", "date"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name the file to evaluate on")?;
    let shown: usize = arguments.next().map_or(Ok(0), |count| count.parse())?;
    let rows: Vec<Row> = serde_json::from_reader(BufReader::new(File::open(path)?))?;
    let engine = Engine::new(&GuardrailsConfig::default())?;
    let wanted = engine.detectors();
    let wanted = wanted.filter(|known| known.default_on || NAMED.contains(&known.name));
    let names: Vec<&str> = wanted.map(|known| known.name).collect();
    let selection = Selection::named(&names)?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for row in &rows {
        count(&engine, &selection, row, &mut tallies)?;
    }
    println!("type          found missed false  precision recall  F1     exact spans");
    for (kind, tally) in &tallies {
        let (found, missed, wrong) = (tally.found, tally.missed.len(), tally.false_alarms.len());
        let ratio = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let precision = ratio(found, found + wrong);
        let recall = ratio(found, found + missed);
        let f1 = ratio(2 * found, 2 * found + missed + wrong);
        println!(
            "{kind:<13} {found:>5} {missed:>6} {wrong:>5}  {precision:>9.3} {recall:>6.3}  {f1:.3}  {}",
            tally.exact
        );
        for text in tally.missed.iter().take(shown) {
            println!("  missed: {text}");
        }
        for text in tally.false_alarms.iter().take(shown) {
            println!("  false:  {text}");
        }
    }
    Ok(())
}

fn count(
    engine: &Engine,
    selection: &Selection,
    row: &Row,
    tallies: &mut BTreeMap<String, Tally>,
) -> Result<(), Box<dyn Error>> {
    let findings = engine.check(&row.full_text, selection)?.findings;
    let excerpt = |start: usize, end: usize| -> String {
        let from = start.saturating_sub(30);
        let chars = row.full_text.chars().skip(from);
        chars
            .take(end - from + 15)
            .collect::<String>()
            .replace('\n', "/")
    };
    let labels: Vec<_> = row
        .spans
        .iter()
        .map(|label| (kinds(&label.entity_type), label))
        .filter(|(kinds, _)| !kinds.is_empty())
        .collect();
    for (kinds, label) in &labels {
        let tally = tallies.entry(kinds[0].to_owned()).or_default();
        let hit = findings.iter().find(|finding| {
            kinds.contains(&&*finding.kind)
                && finding.start_char < label.end_position
                && label.start_position < finding.end_char
        });
        match hit {
            Some(hit) => {
                tally.found += 1;
                let exact =
                    (hit.start_char, hit.end_char) == (label.start_position, label.end_position);
                tally.exact += usize::from(exact);
            }
            None => tally
                .missed
                .push(excerpt(label.start_position, label.end_position)),
        }
    }
    for finding in &findings {
        let labelled = labels.iter().any(|(kinds, label)| {
            kinds.contains(&&*finding.kind)
                && finding.start_char < label.end_position
                && label.start_position < finding.end_char
        });
        if !labelled {
            let tally = tallies.entry(row_of(&finding.kind).to_owned()).or_default();
            tally
                .false_alarms
                .push(excerpt(finding.start_char, finding.end_char));
        }
    }
    Ok(())
}
