//! RoBERTa (Liu et al., arXiv 1907.11692) and XLM-RoBERTa (Conneau et al., arXiv
//! 1911.02116): BERT, trained otherwise. Positions begin after the padding token's,
//! which `first_position` of the configuration says.

use super::bert::{BERT_LAYER, Layout};

pub(super) const LAYOUT: Layout = Layout {
    prefixes: &["", "roberta."],
    layer: BERT_LAYER,
    relative_bias: None,
};
