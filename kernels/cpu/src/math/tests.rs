//! The functions against f64 over their ranges, and at their limits.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn exp_agrees_with_f64(x in -87.0f32..=0.0) {
        let exact = f64::from(x).exp();
        for found in [exp::<false>(x), exp::<true>(x)] {
            prop_assert!((f64::from(found) / exact - 1.0).abs() < 2.5e-7);
        }
    }

    #[test]
    fn gelu_agrees_with_the_error_function(x in -12.0f32..12.0) {
        let exact = 0.5 * f64::from(x) * libm::erfc(-f64::from(x) / f64::sqrt(2.0));
        for found in [gelu::<false>(x), gelu::<true>(x)] {
            let error = (f64::from(found) - exact).abs();
            prop_assert!(error < 2e-7 * f64::from(x.abs()).max(1.0), "{x}: {error}");
        }
    }
}

/// A walk over the whole range, denser than random points.
#[test]
fn exp_and_gelu_keep_their_stated_errors() {
    let (mut worst_exp, mut worst_gelu) = (0.0f64, 0.0f64);
    for step in 0..400_000 {
        let x = step as f32 * 3e-5;
        for x in [x, -x] {
            let exact = 0.5 * f64::from(x) * libm::erfc(-f64::from(x) / f64::sqrt(2.0));
            let error = (f64::from(gelu::<true>(x)) - exact).abs();
            worst_gelu = worst_gelu.max(error / f64::from(x.abs()).max(1.0));
        }
        let x = -x * 7.0;
        let exact = f64::from(x).exp();
        worst_exp = worst_exp.max((f64::from(exp::<true>(x)) / exact - 1.0).abs());
    }
    println!("exp {worst_exp:.2e}, gelu {worst_gelu:.2e}");
    assert!(worst_exp < 2.5e-7 && worst_gelu < 2e-7);
}

#[test]
fn gelu_keeps_its_limits() {
    for (x, limit) in [
        (0.0, 0.0),
        (-0.0, 0.0),
        (40.0, 40.0),
        (-40.0, 0.0),
        (1e30, 1e30),
        (-1e30, 0.0),
        (f32::INFINITY, f32::INFINITY),
        (f32::NEG_INFINITY, 0.0),
    ] {
        assert_eq!((gelu::<false>(x), gelu::<true>(x)), (limit, limit));
    }
    assert!(gelu::<true>(f32::NAN).is_nan());
}

#[test]
fn softmax_of_huge_and_distant_scores_stays_finite() {
    let mut row = [3.0e38, -3.0e38, 3.0e38];
    assert_eq!(softmax::<true>(&mut row), 2.0);
    assert_eq!(row, [1.0, 0.0, 1.0]);
}

#[test]
fn layer_norm_of_a_constant_row_is_the_shift() {
    let mut row = [5.0; 4];
    layer_norm::<true>(&mut row, &[1.0; 4], &[0.25; 4], 1e-12);
    assert_eq!(row, [0.25; 4]);
}
