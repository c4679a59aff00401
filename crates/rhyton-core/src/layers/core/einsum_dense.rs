//! `EinsumDense`: a product of the input and a kernel over any axes.

use rhyton_ir::Shape;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::embedding::refuse_quantization;
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;

/// Computes `activation(einsum(equation, x, kernel) + bias)`.
///
/// # Shapes
/// By the equation, one of `[X],[Y]->[Z]`, `...[X],[Y]->...[Z]` and `[X]...,[Y]->[Z]...`: `"abc,cd->abd"` is a dense layer over
/// the last of three axes. `output_shape` is the shape without batch and what `...` stands for; sizes that follow from
/// the input may be `None`. `bias_axes` names the axes of the output that the bias has.
///
/// # Errors
/// If the equation has another form, or a size of the kernel follows neither from the input nor from `output_shape`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = EinsumDense::new("abc,cd->abd", [None, Some(64)]).bias_axes("d");
/// let y = layer.call(&Tensor::new([2, 3, 5], vec![0.0f32; 30]));
/// assert_eq!(y.shape().to_string(), "[2,3,64]");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EinsumDense {
    #[serde(skip)]
    base: Base,
    pub(crate) output_shape: Vec<Option<usize>>,
    pub(crate) equation: String,
    pub(crate) activation: Activation,
    pub(crate) bias_axes: Option<String>,
    pub(crate) kernel_initializer: InitializerRef,
    pub(crate) bias_initializer: InitializerRef,
    pub(crate) kernel_regularizer: Option<RegularizerRef>,
    pub(crate) bias_regularizer: Option<RegularizerRef>,
    pub(crate) activity_regularizer: Option<RegularizerRef>,
    pub(crate) kernel_constraint: Option<ConstraintRef>,
    pub(crate) bias_constraint: Option<ConstraintRef>,
    pub(crate) quantization_config: Option<Value>,
}

keras_layer!(EinsumDense);

impl Default for EinsumDense {
    fn default() -> EinsumDense {
        EinsumDense {
            base: Base::default(),
            output_shape: Vec::new(),
            equation: String::new(),
            activation: Activation::Linear,
            bias_axes: None,
            kernel_initializer: InitializerRef::default(),
            bias_initializer: Zeros {}.into(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
            quantization_config: None,
        }
    }
}

impl EinsumDense {
    /// By `equation`, with an output of `output_shape`, batch not included.
    pub fn new(equation: &str, output_shape: impl Into<Vec<Option<usize>>>) -> EinsumDense {
        EinsumDense { equation: equation.to_owned(), output_shape: output_shape.into(), ..EinsumDense::default() }
    }

    /// Applied to the result; linear unless said.
    pub fn activation(mut self, activation: Activation) -> EinsumDense {
        self.activation = activation;
        self
    }

    /// The letters of the output's axes that the bias has; there is no bias unless said.
    pub fn bias_axes(mut self, axes: &str) -> EinsumDense {
        self.bias_axes = Some(axes.to_owned());
        self
    }

    /// How the kernel starts; Glorot uniform unless said.
    pub fn kernel_initializer(mut self, initializer: impl Into<InitializerRef>) -> EinsumDense {
        self.kernel_initializer = initializer.into();
        self
    }

    /// How the bias starts; zeros unless said.
    pub fn bias_initializer(mut self, initializer: impl Into<InitializerRef>) -> EinsumDense {
        self.bias_initializer = initializer.into();
        self
    }

    /// A penalty on the kernel.
    pub fn kernel_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> EinsumDense {
        self.kernel_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the bias.
    pub fn bias_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> EinsumDense {
        self.bias_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the outputs.
    pub fn activity_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> EinsumDense {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// What the kernel is held to.
    pub fn kernel_constraint(mut self, constraint: impl Into<ConstraintRef>) -> EinsumDense {
        self.kernel_constraint = Some(constraint.into());
        self
    }

    /// What the bias is held to.
    pub fn bias_constraint(mut self, constraint: impl Into<ConstraintRef>) -> EinsumDense {
        self.bias_constraint = Some(constraint.into());
        self
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::argument(
            "equation",
            format!("{:?} with output_shape {:?}: {what}", self.equation, self.output_shape),
            "write [X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]... and give every size that the input does not",
        )
    }

    /// What the equation asks of the weights for inputs of `shape`.
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let (operands, output) = self.equation.split_once("->").ok_or_else(|| self.wrong("there is no arrow"))?;
        let (input, kernel) = operands.split_once(',').ok_or_else(|| self.wrong("there are not two operands"))?;
        let bare = |term: &str| term.replace("...", "");
        let left = input.starts_with("...");
        let elided_matches = match (left, input.ends_with("...") && !left) {
            (true, _) => output.starts_with("..."),
            (false, true) => output.ends_with("...") && input.len() >= 5,
            (false, false) => !output.contains('.'),
        };
        let letters = |term: &str| !term.is_empty() && term.chars().all(|c| c.is_ascii_alphabetic());
        let (input, output) = (bare(input), bare(output));
        if !elided_matches || ![&input, kernel, &output].into_iter().all(letters) {
            return Err(self.wrong("it has another form"));
        }
        let elided = shape.rank().checked_sub(input.len()).ok_or_else(|| {
            Error::shape(
                "inputs",
                format!("the input has shape {shape}"),
                "give inputs of as many axes as the equation has",
            )
        })?;
        if elided > 0 && !self.equation.contains("...") {
            return Err(self.wrong(format!("the input has shape {shape}")));
        }
        let sizes: Vec<Option<usize>> = shape.iter().map(|d| d.known()).collect();
        let mut whole = vec![sizes.first().copied().flatten()];
        if left && elided > 0 {
            whole.extend(&sizes[1..elided]);
        }
        whole.extend(&self.output_shape);
        if !left {
            whole.extend(&sizes[shape.rank() - elided..]);
        }
        let shift = if left { elided } else { 0 };
        let input_size = |c: char| input.find(c).and_then(|i| sizes.get(i + shift).copied());
        let output_size = |c: char| output.find(c).map(|i| whole.get(i + shift).copied().flatten());
        for c in input.chars() {
            if let (Some(Some(i)), Some(Some(o))) = (input_size(c), output_size(c))
                && i != o
            {
                return Err(self.wrong(format!("the input has size {i} at {c}, the output {o}")));
            }
        }
        if let Some(c) = output.chars().find(|c| !input.contains(*c) && !kernel.contains(*c)) {
            return Err(self.wrong(format!("{c} occurs in the output only")));
        }
        let mut plan = Plan { kernel: Vec::new(), input_axes: Vec::new(), output_axes: Vec::new(), bias: None };
        for (axis, c) in kernel.chars().enumerate() {
            let (size, axes) = match (output_size(c), input_size(c)) {
                (Some(size), _) => (size, &mut plan.output_axes),
                (None, Some(size)) => (size, &mut plan.input_axes),
                (None, None) => return Err(self.wrong(format!("{c} occurs in the kernel only"))),
            };
            axes.push(axis as i64);
            plan.kernel.push(size.ok_or_else(|| self.wrong(format!("the size of {c} is not known")))?);
        }
        if let Some(axes) = &self.bias_axes {
            if let Some(c) = axes.chars().find(|c| !output.contains(*c)) {
                return Err(self.wrong(format!("the bias has {c}, the output has not")));
            }
            let first = axes.chars().filter_map(|c| output.find(c)).min().unwrap_or(output.len());
            let size = |c: char| match output_size(c).flatten() {
                _ if !axes.contains(c) => Ok(1),
                Some(size) => Ok(size),
                None => Err(self.wrong(format!("the size of {c} is not known"))),
            };
            let mut bias: Vec<usize> = output[first..].chars().map(size).collect::<Result<_>>()?;
            if !left {
                bias.extend(std::iter::repeat_n(1, elided));
            }
            plan.bias = Some(bias);
        }
        Ok(plan)
    }

    /// The kernel's initializer, told which axes are inputs and outputs if it wants to know.
    fn initializer(&self, plan: &Plan) -> Result<InitializerRef> {
        let mut object = serde_json::to_value(&self.kernel_initializer).unwrap_or_default();
        let config = &mut object["config"];
        let asks = |key: &str| config.get(key).is_some_and(Value::is_null);
        if !asks("input_axes") && !asks("output_axes") {
            return Ok(self.kernel_initializer.clone());
        }
        config["input_axes"] = plan.input_axes.clone().into();
        config["output_axes"] = plan.output_axes.clone().into();
        crate::saving::from_config("kernel_initializer", object)
    }
}

/// Shapes of weights.
struct Plan {
    kernel: Vec<usize>,
    input_axes: Vec<i64>,
    output_axes: Vec<i64>,
    bias: Option<Vec<usize>>,
}

impl Layer for EinsumDense {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        refuse_quantization(&self.quantization_config)?;
        let plan = self.plan(inputs.first()?)?;
        self.base
            .add_weight("kernel", plan.kernel.clone())
            .initializer(self.initializer(&plan)?)
            .regularizer(self.kernel_regularizer.clone())
            .constraint(self.kernel_constraint.clone())
            .add()?;
        if let Some(shape) = plan.bias {
            self.base
                .add_weight("bias", shape)
                .initializer(self.bias_initializer.clone())
                .regularizer(self.bias_regularizer.clone())
                .constraint(self.bias_constraint.clone())
                .add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let mut y = ops::einsum(&self.equation, &[&inputs.tensor()?.without_mask(), &self.base.weight("kernel")?]);
        if self.bias_axes.is_some() {
            y = y + self.base.weight("bias")?;
        }
        Ok(self.activation.call(&y).into())
    }

    fn activity_regularizer(&self) -> Option<&RegularizerRef> {
        self.activity_regularizer.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("einsum_dense");
    }

    #[test]
    fn equations_that_do_not_fit_are_refused() {
        let x = Tensor::new([2, 3], vec![0.0f32; 6]);
        for (equation, shape) in [
            ("ab,bc", vec![Some(4)]),
            ("ab,bc->ad", vec![Some(4)]),
            ("ab,bc->ac", vec![None]),
            ("abc,cd->abd", vec![None, Some(4)]),
        ] {
            let error = EinsumDense::new(equation, shape).call(&x).eval().unwrap_err();
            assert!(matches!(error, Error::Argument(_) | Error::Shape(_)), "{equation}: {error}");
        }
    }
}
