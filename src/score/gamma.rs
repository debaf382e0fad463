//! ln Γ, of which the evidence of shares and the intervals of a replay's counts are made.

/// ln Γ(x) for x > 0, by Stirling's series beyond 8; to 1e-10.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1_260.0 - square / 1_680.0)));
    (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_7 + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_gamma_is_that_of_factorials_and_of_a_half() {
        let mut ln_factorial = 0.0;
        for n in 1..40_u32 {
            assert!((ln_gamma(f64::from(n)) - ln_factorial).abs() < 1e-9, "{n}");
            ln_factorial += f64::from(n).ln();
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
    }
}
