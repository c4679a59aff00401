//! Recurrent layers, their cells, and wrappers that go through time.

#[macro_use]
mod settings;

mod bidirectional;
mod cell;
mod conv_lstm;
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
pub use conv_lstm::{ConvLSTM, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D};
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
    LayerClass { name: "ConvLSTM1D", from_config: make::<ConvLSTM1D> },
    LayerClass { name: "ConvLSTM2D", from_config: make::<ConvLSTM2D> },
    LayerClass { name: "ConvLSTM3D", from_config: make::<ConvLSTM3D> },
];

#[cfg(test)]
mod tests {
    use crate::model::deserialize_layer;
    use crate::prelude::*;
    use crate::testing::{Tolerance, assert_close, cases};

    #[test]
    fn a_model_of_words_gives_what_keras_gives() {
        let built = || {
            let model = Sequential::new().add(Input::open([None]).dtype(DType::I32));
            let model = model.add(Embedding::new(7, 3).mask_zero(true)).add(LSTM::new(4).return_sequences(true));
            model.add(Bidirectional::new(GRU::new(2))).add(Dense::new(2).activation(Activation::Softmax)).layer_ref()
        };
        for case in cases("text_model") {
            let read = deserialize_layer(case.layer()).unwrap();
            let expected = case.arrays("outputs").unwrap().remove(0).unwrap();
            for model in [built(), read] {
                model.call(case.args(None)).check().unwrap();
                for (weight, recorded) in model.weights().iter().zip(case.weights()) {
                    weight.assign(recorded.value).unwrap();
                }
                let y = model.call(case.args(None)).eval().unwrap();
                assert_close("probabilities", &y, &expected, Tolerance::of(DType::F32));
            }
        }
    }
}
