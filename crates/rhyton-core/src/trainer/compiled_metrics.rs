//! The metrics of a model with one or several outputs (Keras's `CompileMetrics`).

use std::collections::HashMap;

use super::Spec;
use crate::error::Result;
use crate::metrics::MetricRef;
use crate::tensor::Tensor;

/// Metrics by output.
#[derive(Clone, Debug)]
pub(crate) struct CompiledMetrics {
    metrics: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    output: usize,
    /// Put before the name where there are several outputs.
    prefix: Option<String>,
    metric: MetricRef,
    weighted: bool,
}

impl CompiledMetrics {
    /// Of a model without metrics.
    pub(crate) fn none() -> CompiledMetrics {
        CompiledMetrics { metrics: Vec::new() }
    }

    /// For outputs named `names`. `"accuracy"` becomes the accuracy for the shapes of target and prediction.
    ///
    /// # Errors
    /// If the metrics do not match the outputs.
    pub(crate) fn new(
        metrics: &Spec<MetricRef>,
        weighted: &Spec<MetricRef>,
        names: &[String],
        y: &[Option<Tensor>],
        y_pred: &[Tensor],
    ) -> Result<CompiledMetrics> {
        let mut found = Vec::new();
        for (spec, weighted) in [(metrics, false), (weighted, true)] {
            let what = if weighted { "weighted_metrics" } else { "metrics" };
            // All metrics go to a single output, however they are nested.
            let by_output = match names.len() {
                1 => {
                    spec.check()?;
                    vec![spec.clone()]
                }
                _ => spec.by_output(what, names)?,
            };
            for (output, spec) in by_output.iter().enumerate() {
                for metric in spec.leaves() {
                    let Some(target) = y.get(output).and_then(Option::as_ref) else { continue };
                    found.push(Entry {
                        output,
                        prefix: (names.len() > 1).then(|| names[output].clone()),
                        metric: metric.for_shapes(target, &y_pred[output])?,
                        weighted,
                    });
                }
            }
        }
        Ok(CompiledMetrics { metrics: found })
    }

    /// Takes a batch into account.
    ///
    /// # Errors
    /// If a target or prediction does not fit a metric.
    pub(crate) fn update(&self, y: &[Option<Tensor>], y_pred: &[Tensor], weights: &[Option<Tensor>]) -> Result<()> {
        for entry in &self.metrics {
            let Some(target) = y.get(entry.output).and_then(Option::as_ref) else { continue };
            let weight = weights.get(entry.output).and_then(Option::as_ref).filter(|_| entry.weighted);
            entry.metric.update_state(target, &y_pred[entry.output], weight)?;
        }
        Ok(())
    }

    /// Names and values, by Keras's rules for names met twice.
    ///
    /// # Errors
    /// If a result cannot be computed.
    pub(crate) fn results(&self) -> Result<Vec<(String, Tensor)>> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut results = Vec::new();
        for entry in &self.metrics {
            let prefixed = |name: &str| match &entry.prefix {
                Some(prefix) => format!("{prefix}_{name}"),
                None => name.to_owned(),
            };
            let own = entry.metric.name();
            let mut name = prefixed(own);
            if counts.contains_key(&name) && entry.weighted {
                name = prefixed(&format!("weighted_{own}"));
            }
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            if *count > 1 {
                name = format!("{name}_{}", *count - 1);
            }
            results.push((name, entry.metric.result()?));
        }
        Ok(results)
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &MetricRef> {
        self.metrics.iter().map(|e| &e.metric)
    }
}
