//! Dates, births, ages.

use crate::support::{detects, finds, ignores, leaves_alone};

#[test]
fn a_date_beside_a_word_of_birth_is_a_date_of_birth() {
    finds(
        "DATE_OF_BIRTH",
        &[
            "DOB: «04/17/1986»",
            "born on «April 17, 1986» in Ohio",
            "date of birth «1986-04-17»",
            "geboren am «17.04.1986», Geburtsdatum «17. April 1986»",
            "fecha de nacimiento: «17 de abril de 1986»",
            "She was born «17 Apr 1986».",
            "Your birthday is 12/15? No, «4/17/86».",
            "née: naissance «17-04-1986»",
        ],
    );
    leaves_alone(&[
        "04/17/1986",
        "born 04/45/1986",
        "born 1986.13.40",
        "born in 1986",
        "birth 13/13/2020",
        "born on 1.2.34",
        "his birthday is on April 17",
    ]);
}

#[test]
fn dates_are_found_when_they_are_asked_for() {
    detects(
        "date",
        "DATE",
        &[
            "«2024-01-15» and «15.01.2024», «1/15/2024»",
            "at «2024-01-15»T09:12:44Z",
            "on «March 14» and «3rd of May 2021», «Sept. 11, 2001»",
            "le «14 juillet 1789»",
        ],
    );
    ignores(
        "date",
        &[
            "1.2.3 and 10.0.0.1 and 1-2-34",
            "2024-13-01 and 32/12/2024",
            "march on and may 99",
            "2024-01-15-7 and 1/2/2024/5",
            "10/20/30/40",
        ],
    );
}

#[test]
fn ages_over_89_are_found_and_younger_ones_are_not() {
    detects(
        "age_over_eighty_nine",
        "AGE_OVER_EIGHTY_NINE",
        &[
            "a «94»-year-old woman",
            "he is «101» years old",
            "aged «90», age: «97»",
            "at the age of «93»",
            "«95» yo male",
        ],
    );
    ignores(
        "age_over_eighty_nine",
        &[
            "an 89-year-old man, aged 45",
            "aged 90 days",
            "90 years ago",
            "1990 years old",
            "page 95",
            "age 130",
            "95% of ages",
        ],
    );
}
