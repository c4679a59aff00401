//! `stop_gradient`: the identity, through which no gradient flows.

use serde::{Deserialize, Serialize};

/// `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopGradient;
