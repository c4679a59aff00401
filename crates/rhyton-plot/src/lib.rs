//! Pictures: graphs of models ([`plot_model`], [`model_to_dot`]), and learning curves ([`plot_history`]).
//!
//! What it is for: what Keras asks Graphviz and Matplotlib for. Drawings are made here, as SVG or PNG, with letters of our own, so
//! that they are the same everywhere. What it does not do: lay out anything but graphs that go downwards.

#![forbid(unsafe_code)]

mod align;
mod curves;
mod diagram;
mod dot;
mod draw;
mod fonts;
mod label;
mod layered;
mod options;
mod picture;
mod route;
mod scene;

pub use curves::plot_history;
pub use dot::model_to_dot;
pub use draw::plot_model;
pub use options::{PlotModel, RankDir};
