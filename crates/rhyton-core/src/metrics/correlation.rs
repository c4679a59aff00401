//! Correlations of labels and predictions.

use super::Direction;
use super::accuracy::Call;
use super::define::mean_metric;
use crate::config::epsilon;
use crate::losses::aligned;
use crate::ops;
use crate::tensor::Tensor;

mean_metric! {
    /// The mean over samples of Pearson's correlation along `axis`.
    PearsonCorrelation "pearson_correlation" Some(Direction::Up), |this, t, p| pearson_correlation(t, p, this.axis);
    { "Along which axis; the last unless said." axis: i64 = -1, }
    {}
}

mean_metric! {
    /// The mean over samples of the concordance correlation along `axis`.
    ConcordanceCorrelation "concordance_correlation" Some(Direction::Up),
        |this, t, p| concordance_correlation(t, p, this.axis);
    { "Along which axis; the last unless said." axis: i64 = -1, }
    {}
}

/// Keras's functions of this file by name, with their default arguments.
pub(super) const CORRELATIONS: &[(&str, Call)] = &[
    ("pearson_correlation", |t, p| pearson_correlation(t, p, -1)),
    ("concordance_correlation", |t, p| concordance_correlation(t, p, -1)),
];

/// `mean(z_true · z_pred)` along `axis`, where `z` is `(y − mean) / std`; NaN where one is constant.
pub fn pearson_correlation(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    let standard = |x: &Tensor| {
        let centred = x - ops::mean(x, axis, true);
        &centred / ops::std(&centred, axis, true)
    };
    ops::mean(&(standard(&t) * standard(&p)), axis, false)
}

/// `mean(2 c / (v_true + v_pred + (m_true − m_pred)² + ε))` along `axis`, with means `m`, variances `v` and
/// `c = (y_true − m_pred)(y_pred − m_pred)`, as Keras has it.
pub fn concordance_correlation(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    let (mt, mp) = (ops::mean(&t, axis, true), ops::mean(&p, axis, true));
    let (vt, vp) = (ops::var(&(&t - &mt), axis, true), ops::var(&(&p - &mp), axis, true));
    let covariance = (&t - &mp) * (&p - &mp);
    let norm = vt + vp + ops::square(&(mt - mp));
    ops::mean(&(covariance * 2.0 / (norm + epsilon())), axis, false)
}
