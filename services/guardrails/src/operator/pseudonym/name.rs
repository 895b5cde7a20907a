//! Names of people, places and companies, from small lists.
//!
//! A person's name is mapped word by word, so that "Ada" and "Ada Lovelace" stay the same
//! person. Titles stay; initials become other initials.

use super::Seed;

/// Given names, common in many countries.
pub(super) const GIVEN: [&str; 72] = [
    "Adrian", "Agnes", "Alina", "Amira", "Anton", "Astrid", "Bela", "Bianca", "Boris", "Camila",
    "Carla", "Cedric", "Clara", "Dario", "Delia", "Diego", "Dora", "Edgar", "Elena", "Elias",
    "Emil", "Esther", "Fabio", "Farah", "Felix", "Flora", "Gita", "Greta", "Hanna", "Hugo", "Ida",
    "Igor", "Ines", "Irena", "Ivan", "Jana", "Jonas", "Julia", "Kaito", "Karim", "Katja", "Lars",
    "Leila", "Leon", "Lucia", "Magda", "Marek", "Mina", "Nadia", "Nils", "Nora", "Olga", "Omar",
    "Oscar", "Paula", "Petra", "Rafael", "Rosa", "Samir", "Selma", "Silas", "Sofia", "Tamar",
    "Theo", "Tilda", "Ulrik", "Vera", "Victor", "Wanda", "Yara", "Zane", "Zora",
];

/// Family names, common in many countries.
pub(super) const FAMILY: [&str; 96] = [
    "Abbott", "Almeida", "Anders", "Arroyo", "Bakker", "Baranov", "Becker", "Benson", "Bergman",
    "Blake", "Borg", "Brandt", "Brennan", "Carver", "Castillo", "Chandra", "Conti", "Cordova",
    "Dalton", "Darby", "Dubois", "Duran", "Eklund", "Ellison", "Engel", "Farrow", "Ferrari",
    "Fischer", "Flynn", "Forsyth", "Fuentes", "Garner", "Gomes", "Granger", "Gruber", "Hale",
    "Hansen", "Harlow", "Hartman", "Hendry", "Holm", "Horvat", "Ibarra", "Ingram", "Jansen",
    "Jarvis", "Kaminski", "Keller", "Kimura", "Kovacs", "Kruger", "Lambert", "Larsen", "Lindgren",
    "Lombard", "Madsen", "Marino", "Mercer", "Meyer", "Molina", "Moreau", "Navarro", "Nilsen",
    "Novak", "Okafor", "Olsen", "Ortega", "Paredes", "Parrish", "Petrov", "Pruitt", "Quintero",
    "Ramsey", "Renard", "Rinaldi", "Rossi", "Salazar", "Sandoval", "Schaefer", "Serrano",
    "Sorensen", "Stein", "Sutton", "Takeda", "Thorne", "Torres", "Ulrich", "Valdez", "Varga",
    "Vogel", "Wagner", "Walsh", "Weber", "Winslow", "Yilmaz", "Zeller",
];

/// Places that no map shows.
const PLACES: [&str; 40] = [
    "Alderbrook",
    "Ambermoor",
    "Ashenford",
    "Bellhaven",
    "Birchwell",
    "Brackenport",
    "Briarcombe",
    "Calderwick",
    "Cedarholm",
    "Copperfell",
    "Dunmarsh",
    "Eastmere",
    "Elderquay",
    "Fernhollow",
    "Foxwater",
    "Glenharrow",
    "Greymouthe",
    "Hartsfell",
    "Hazelmoor",
    "Ironleigh",
    "Juniper Bay",
    "Kestrelby",
    "Lakenfold",
    "Larkspur Hill",
    "Maplecombe",
    "Millharrow",
    "Northwater",
    "Oakenshire",
    "Orchard Quay",
    "Pinehurstley",
    "Quarrydale",
    "Ravenmoor",
    "Rosewick",
    "Saltmarsh Point",
    "Silverbeck",
    "Stonehollow",
    "Thistledown",
    "Umberfield",
    "Westerlea",
    "Willowmere",
];

/// What a company calls itself behind its founder's name.
const COMPANIES: [&str; 12] = [
    "Associates",
    "Consulting",
    "Foods",
    "Group",
    "Holdings",
    "Industries",
    "Instruments",
    "Logistics",
    "Partners",
    "Systems",
    "Trading",
    "Works",
];

const TITLES: [&str; 20] = [
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam", "lady", "lord", "herr", "frau",
    "señor", "señora", "don", "doña", "jr", "sr", "phd",
];

pub(super) fn person(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let is_title = |word: &str| {
        let bare = word.trim_end_matches(['.', ',']).to_lowercase();
        TITLES.contains(&bare.as_str())
    };
    let names = words.iter().filter(|word| !is_title(word)).count();
    if names == 0 {
        return None;
    }
    let mut place = 0;
    let mapped: Vec<String> = words
        .into_iter()
        .map(|word| {
            if is_title(word) {
                return word.to_owned();
            }
            place += 1;
            let list: &[&str] = if place > 1 && place == names {
                &FAMILY
            } else {
                &GIVEN
            };
            self::word(word, list, seed)
        })
        .collect();
    Some(mapped.join(" "))
}

/// One word of a name, with what surrounds its letters.
fn word(word: &str, list: &[&str], seed: &Seed<'_, '_>) -> String {
    let name = word
        .strip_suffix("'s")
        .or_else(|| word.strip_suffix("’s"))
        .unwrap_or(word);
    let possessive = &word[name.len()..];
    let bare = name.trim_matches(|char: char| !char.is_alphabetic());
    let Some(at) = name.find(bare).filter(|_| !bare.is_empty()) else {
        return word.to_owned();
    };
    let mut draw = seed.draw("name", &bare.to_lowercase());
    let made = if bare.chars().count() == 1 {
        char::from(b'A' + draw.below(26) as u8).to_string()
    } else {
        draw.one_of(list).to_owned()
    };
    let made = like(bare, made);
    format!(
        "{}{made}{}{possessive}",
        &name[..at],
        &name[at + bare.len()..]
    )
}

pub(super) fn location(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let place = seed
        .draw("location", &value.to_lowercase())
        .one_of(&PLACES)
        .to_owned();
    Some(like(value, place))
}

pub(super) fn organization(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let mut draw = seed.draw("organization", &value.to_lowercase());
    let made = format!("{} {}", draw.one_of(&FAMILY), draw.one_of(&COMPANIES));
    Some(like(value, made))
}

/// In capitals or small letters where the original is.
fn like(original: &str, made: String) -> String {
    let has = |fits: fn(char) -> bool| original.chars().any(fits);
    match (has(char::is_uppercase), has(char::is_lowercase)) {
        (true, false) if original.chars().count() > 1 => made.to_uppercase(),
        (false, true) => made.to_lowercase(),
        _ => made,
    }
}
