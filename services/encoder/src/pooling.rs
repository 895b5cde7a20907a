//! How the vectors of a text's tokens become the text's one vector.

/// How token vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens, special ones included, as sentence-transformers
    /// computes it.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The vector of the last token.
    Last,
    /// The largest value of each dimension over all tokens.
    Max,
}

impl Pooling {
    /// The name on the wire: `mean`, `cls`, `last` or `max`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Last => "last",
            Self::Max => "max",
        }
    }

    /// Pools `tokens`, row-major `[n, hidden]` with n >= 1, to a vector `[hidden]`
    /// of Euclidean length 1.
    pub(crate) fn pool(self, tokens: &[f32], hidden: usize) -> Vec<f32> {
        let mut pooled = vec![0.0; hidden];
        match self {
            // Dividing by n is left out: scaling to length 1 undoes it.
            Self::Mean => {
                for token in tokens.chunks_exact(hidden) {
                    for (sum, value) in pooled.iter_mut().zip(token) {
                        *sum += value;
                    }
                }
            }
            Self::Cls => pooled.copy_from_slice(&tokens[..hidden]),
            Self::Last => pooled.copy_from_slice(&tokens[tokens.len() - hidden..]),
            Self::Max => {
                pooled.copy_from_slice(&tokens[..hidden]);
                for token in tokens.chunks_exact(hidden) {
                    for (most, value) in pooled.iter_mut().zip(token) {
                        *most = most.max(*value);
                    }
                }
            }
        }
        normalise(&mut pooled);
        pooled
    }
}

/// Scales to Euclidean length 1; a vector of zeros stays as it is. Summed in f64,
/// so that the length is 1 to the last bits of f32.
fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|v| f64::from(*v).powi(2)).sum();
    if square > 0.0 {
        let scale = square.sqrt().recip();
        for value in vector {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_is_over_all_tokens_and_of_unit_length() {
        let pooled = Pooling::Mean.pool(&[3.0, 0.0, 3.0, 8.0], 2);
        assert_eq!(pooled, [0.6, 0.8]);
    }

    #[test]
    fn cls_takes_the_first_token() {
        assert_eq!(Pooling::Cls.pool(&[0.0, 2.0, 5.0, 5.0], 2), [0.0, 1.0]);
    }

    #[test]
    fn last_takes_the_last_token_and_max_the_largest_of_each_dimension() {
        assert_eq!(Pooling::Last.pool(&[5.0, 5.0, 0.0, -2.0], 2), [0.0, -1.0]);
        assert_eq!(Pooling::Max.pool(&[-3.0, 4.0, -9.0, 1.0], 2), [-0.6, 0.8]);
    }

    #[test]
    fn zeros_stay_zeros_and_are_never_nan() {
        assert_eq!(Pooling::Mean.pool(&[1.0, -1.0], 1), [0.0]);
    }
}
