//! Keeping the leading dimensions, for models that were trained so that these stand
//! alone (Kusupati et al., Matryoshka Representation Learning, arXiv 2205.13147).

use super::Reducer;
use crate::{model::ModelCard, request::EmbedError};

/// Keeps the first dimensions.
#[derive(Debug)]
pub(super) struct Matryoshka {
    pub(super) input: usize,
    pub(super) dimensions: usize,
}

impl Reducer for Matryoshka {
    fn input_dimensions(&self) -> usize {
        self.input
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn project(&self, vector: &[f32]) -> Vec<f32> {
        vector.iter().take(self.dimensions).copied().collect()
    }
}

/// The reduction of this model to `wanted` dimensions; `None` for its own size. Lengths
/// between those that it was trained for are accepted: what they keep lies between.
///
/// # Errors
///
/// [`EmbedError::Invalid`] says what the model can do.
pub(super) fn of(card: &ModelCard, wanted: u32) -> Result<Option<Matryoshka>, EmbedError> {
    let full = card.dimensions;
    if wanted == full {
        return Ok(None);
    }
    let problem = match card.matryoshka.first() {
        Some(&least) if (least..full).contains(&wanted) => {
            return Ok(Some(Matryoshka {
                input: full as usize,
                dimensions: wanted as usize,
            }));
        }
        Some(least) => format!("is {wanted}; `{}` gives {least} to {full}", card.name),
        None => format!(
            "is {wanted}; `{}` has {full} dimensions and was not trained to be shortened: leave \
             this out, send {full}, or name a `reduction`",
            card.name
        ),
    };
    Err(EmbedError::invalid("dimensions", problem))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn card(matryoshka: &[u32]) -> ModelCard {
        ModelCard {
            name: "model".to_owned(),
            revision: String::new(),
            dimensions: 768,
            matryoshka: matryoshka.to_vec(),
            max_input_tokens: 512,
            pooling: "mean".to_owned(),
            license: String::new(),
        }
    }

    #[test]
    fn a_trained_model_is_shortened_to_its_least_length_and_not_below() {
        let card = card(&[64, 128, 256, 512]);
        for wanted in [64, 100, 512, 767] {
            let kept = of(&card, wanted).unwrap().unwrap().project(&[0.5; 768]);
            assert_eq!(kept.len(), wanted as usize);
        }
        assert!(of(&card, 768).unwrap().is_none());
        for wanted in [0, 1, 63, 769, u32::MAX] {
            let error = of(&card, wanted).unwrap_err().to_string();
            assert!(error.contains("64 to 768"), "{error}");
        }
    }

    #[test]
    fn an_untrained_model_has_its_own_length_only() {
        assert!(of(&card(&[]), 768).unwrap().is_none());
        let error = of(&card(&[]), 256).unwrap_err().to_string();
        assert!(error.starts_with("dimensions: is 256") && error.contains("768"));
    }
}
