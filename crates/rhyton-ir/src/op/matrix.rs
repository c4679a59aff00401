//! Batches of matrices in the last two axes of an operand: their checks, evaluation one matrix at a time, and the
//! steps of linear algebra that gradient rules share.
