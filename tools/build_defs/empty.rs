//! Nothing: what a library of `forbidden_edges` is made of.
