//! Every metric that configurations may name.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::define::take_identity;
use super::*;
use crate::saving::{Class, from_config};

/// Every class, and Keras's other names for some of them last.
pub(super) const CLASSES: &[Class<dyn Metric>] = &[
    Class { name: "AUC", from_config: make::<AUC> },
    Class { name: "Accuracy", from_config: make::<Accuracy> },
    Class { name: "BinaryAccuracy", from_config: make::<BinaryAccuracy> },
    Class { name: "BinaryCrossentropy", from_config: make::<BinaryCrossentropy> },
    Class { name: "BinaryIoU", from_config: make::<BinaryIoU> },
    Class { name: "CategoricalAccuracy", from_config: make::<CategoricalAccuracy> },
    Class { name: "CategoricalCrossentropy", from_config: make::<CategoricalCrossentropy> },
    Class { name: "CategoricalHinge", from_config: make::<CategoricalHinge> },
    Class { name: "ConcordanceCorrelation", from_config: make::<ConcordanceCorrelation> },
    Class { name: "CosineSimilarity", from_config: make::<CosineSimilarity> },
    Class { name: "F1Score", from_config: make::<F1Score> },
    Class { name: "FBetaScore", from_config: make::<FBetaScore> },
    Class { name: "FalseNegatives", from_config: make::<FalseNegatives> },
    Class { name: "FalsePositives", from_config: make::<FalsePositives> },
    Class { name: "Hinge", from_config: make::<Hinge> },
    Class { name: "IoU", from_config: make::<IoU> },
    Class { name: "KLDivergence", from_config: make::<KLDivergence> },
    Class { name: "LogCoshError", from_config: make::<LogCoshError> },
    Class { name: "Mean", from_config: make::<Mean> },
    Class { name: "MeanAbsoluteError", from_config: make::<MeanAbsoluteError> },
    Class { name: "MeanAbsolutePercentageError", from_config: make::<MeanAbsolutePercentageError> },
    Class { name: "MeanIoU", from_config: make::<MeanIoU> },
    Class { name: "MeanSquaredError", from_config: make::<MeanSquaredError> },
    Class { name: "MeanSquaredLogarithmicError", from_config: make::<MeanSquaredLogarithmicError> },
    Class { name: "OneHotIoU", from_config: make::<OneHotIoU> },
    Class { name: "OneHotMeanIoU", from_config: make::<OneHotMeanIoU> },
    Class { name: "PearsonCorrelation", from_config: make::<PearsonCorrelation> },
    Class { name: "Poisson", from_config: make::<Poisson> },
    Class { name: "Precision", from_config: make::<Precision> },
    Class { name: "PrecisionAtRecall", from_config: make::<PrecisionAtRecall> },
    Class { name: "R2Score", from_config: make::<R2Score> },
    Class { name: "Recall", from_config: make::<Recall> },
    Class { name: "RecallAtPrecision", from_config: make::<RecallAtPrecision> },
    Class { name: "RootMeanSquaredError", from_config: make::<RootMeanSquaredError> },
    Class { name: "SensitivityAtSpecificity", from_config: make::<SensitivityAtSpecificity> },
    Class { name: "SparseCategoricalAccuracy", from_config: make::<SparseCategoricalAccuracy> },
    Class { name: "SparseCategoricalCrossentropy", from_config: make::<SparseCategoricalCrossentropy> },
    Class { name: "SparseTopKCategoricalAccuracy", from_config: make::<SparseTopKCategoricalAccuracy> },
    Class { name: "SpecificityAtSensitivity", from_config: make::<SpecificityAtSensitivity> },
    Class { name: "SquaredHinge", from_config: make::<SquaredHinge> },
    Class { name: "Sum", from_config: make::<Sum> },
    Class { name: "TopKCategoricalAccuracy", from_config: make::<TopKCategoricalAccuracy> },
    Class { name: "TrueNegatives", from_config: make::<TrueNegatives> },
    Class { name: "TruePositives", from_config: make::<TruePositives> },
    Class { name: "MeanMetricWrapper", from_config: reduction::wrapper_from_config },
    Class { name: "bce", from_config: make::<BinaryCrossentropy> },
    Class { name: "BCE", from_config: make::<BinaryCrossentropy> },
    Class { name: "mse", from_config: make::<MeanSquaredError> },
    Class { name: "MSE", from_config: make::<MeanSquaredError> },
    Class { name: "mae", from_config: make::<MeanAbsoluteError> },
    Class { name: "MAE", from_config: make::<MeanAbsoluteError> },
    Class { name: "mape", from_config: make::<MeanAbsolutePercentageError> },
    Class { name: "MAPE", from_config: make::<MeanAbsolutePercentageError> },
    Class { name: "msle", from_config: make::<MeanSquaredLogarithmicError> },
    Class { name: "MSLE", from_config: make::<MeanSquaredLogarithmicError> },
];

/// Rebuilds one whose configuration, but for name and dtype, is what serde makes of it.
pub(crate) fn make<M: Metric + DeserializeOwned + 'static>(mut config: Value) -> Result<Arc<dyn Metric>> {
    let (name, dtype) = take_identity(&mut config)?;
    let metric = from_config::<M>("metric", config)?;
    if let Some(name) = name {
        metric.base().set_name(name);
    }
    if let Some(dtype) = dtype {
        metric.base().set_dtype(dtype);
    }
    Ok(Arc::new(metric))
}
