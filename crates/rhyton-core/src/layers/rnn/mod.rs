//! Recurrent layers, their cells, and wrappers that go through time.

#[macro_use]
mod settings;

mod bidirectional;
mod cell;
mod gru;
mod looping;
mod lstm;
mod recurrent;
mod rnn;
mod simple_rnn;
mod stacked_rnn_cells;
mod time_distributed;
mod unit_forget_bias;

use super::{LayerClass, make};

pub use bidirectional::{Bidirectional, MergeMode};
pub use cell::{Cell, Step};
pub use gru::{GRU, GRUCell};
pub use lstm::{LSTM, LSTMCell};
pub use rnn::RNN;
pub use simple_rnn::{SimpleRNN, SimpleRNNCell};
pub use stacked_rnn_cells::StackedRNNCells;
pub use time_distributed::TimeDistributed;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "SimpleRNNCell", from_config: make::<SimpleRNNCell> },
    LayerClass { name: "SimpleRNN", from_config: make::<SimpleRNN> },
    LayerClass { name: "LSTMCell", from_config: make::<LSTMCell> },
    LayerClass { name: "LSTM", from_config: make::<LSTM> },
    LayerClass { name: "GRUCell", from_config: make::<GRUCell> },
    LayerClass { name: "GRU", from_config: make::<GRU> },
    LayerClass { name: "StackedRNNCells", from_config: make::<StackedRNNCells> },
    LayerClass { name: "RNN", from_config: make::<RNN> },
    LayerClass { name: "Bidirectional", from_config: make::<Bidirectional> },
    LayerClass { name: "TimeDistributed", from_config: make::<TimeDistributed> },
];
