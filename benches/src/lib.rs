//! Shared pieces of the benchmarks.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on has failed")]

pub mod ike;
pub mod lab;
pub mod load;
pub mod meter;
pub mod raw;
pub mod worker;

/// Not a number if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
}
