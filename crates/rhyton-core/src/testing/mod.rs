//! What tests share: comparison within tolerances, golden files from real Keras, and the one check that every layer
//! goes through.
//!
//! To test a layer, write its cases into a generator of `fixtures/make_<family>.py`:
//!
//! ```python
//! @family
//! def dense():
//!     yield case(L.Dense(2), draw(3, 4))
//!     yield case(L.Dense(2), draw(2, 3, 4), masks=[draw(2, 3, dtype="bool")], training=True)
//! ```
//!
//! run it with Keras 3.15 (`python fixtures/make_<family>.py dense`), and name the file in the layer's test:
//!
//! ```ignore
//! #[test]
//! fn agrees_with_keras() {
//!     check_layer("dense");
//! }
//! ```
//!
//! For each case [`check_layer`] rebuilds the layer from Keras's JSON and checks: the configuration written back
//! (`build_config` included), paths, shapes and trainability of weights, outputs, masks, losses and changed weights
//! against Keras's, gradients by inputs and weights against Keras's and, in `float64`, against central differences, the
//! same call compiled, shapes and dtypes inferred for an unknown batch, the dtypes under `mixed_bfloat16`, and a
//! training step. What is special to a layer (random ones in training, errors) is tested in the layer's file.

mod close;
mod golden;
mod layer;

pub(crate) use close::{Tolerance, assert_close};
pub(crate) use golden::{array, cases, recorded, recorded_nest};
pub(crate) use layer::{assert_same_json, check_layer};
