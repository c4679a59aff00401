//! `while`: iterates a body while a condition holds.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::graph::Graph;
/// Operands are the initial state; `condition` maps the state to one scalar `bool`, `body` the state to the next one.
/// Values from outside are passed as part of the state. Has no reverse-mode gradient: its length is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct While {
    /// State to `bool`.
    pub condition: Arc<Graph>,
    /// State to state.
    pub body: Arc<Graph>,
}
