//! Builder methods that recurrent layers and their cells share.

/// The builder methods of cells and of the layers made of one cell.
macro_rules! cell_settings {
    ($name:ident $(<$n:ident>)?) => {
        impl$(<const $n: usize>)? $name$(<$n>)? {
            $crate::layers::builders::builders! {
                /// Gives the new state; `tanh` unless said.
                activation: $crate::activations::Activation,
                /// Whether biases are added; they are unless said.
                use_bias: bool,
                /// How the weights of the inputs start; Glorot uniform unless said.
                kernel_initializer: into $crate::initializers::InitializerRef,
                /// How the weights of the state start; orthogonal unless said.
                recurrent_initializer: into $crate::initializers::InitializerRef,
                /// How the bias starts; zeros unless said.
                bias_initializer: into $crate::initializers::InitializerRef,
                /// A penalty on the weights of the inputs.
                kernel_regularizer: some $crate::regularizers::RegularizerRef,
                /// A penalty on the weights of the state.
                recurrent_regularizer: some $crate::regularizers::RegularizerRef,
                /// A penalty on the bias.
                bias_regularizer: some $crate::regularizers::RegularizerRef,
                /// What the weights of the inputs are held to.
                kernel_constraint: some $crate::constraints::ConstraintRef,
                /// What the weights of the state are held to.
                recurrent_constraint: some $crate::constraints::ConstraintRef,
                /// What the bias is held to.
                bias_constraint: some $crate::constraints::ConstraintRef,
                /// The share of inputs left out in training, the same at every step of a call.
                dropout: f64,
                /// The share of the state left out in training, the same at every step of a call.
                recurrent_dropout: f64,
                /// Where the random numbers of dropout start.
                seed: some u64,
            }
        }
    };
}

/// The builder methods of recurrent layers.
macro_rules! recurrent_settings {
    ($name:ident $(<$n:ident>)?) => {
        impl$(<const $n: usize>)? $name$(<$n>)? {
            $crate::layers::builders::builders! {
                /// Whether the outputs of all steps are given, `(batch, time, …)`; only the last one unless said.
                return_sequences: bool,
                /// Whether the last states are given, too, after the output.
                return_state: bool,
                /// Whether time goes backwards; the outputs are in the order of the steps.
                go_backwards: bool,
                /// Whether a call starts from the states with which the one before ended, sample by sample.
                stateful: bool,
                /// Whether the steps are written out one by one instead of looped over; the number of steps must be known.
                unroll: bool,
                /// Whether outputs of masked steps are zeros; the output before is repeated unless said.
                zero_output_for_mask: bool,
            }
        }
    };
}
