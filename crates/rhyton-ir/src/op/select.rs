//! `select`: elementwise choice.

use serde::{Deserialize, Serialize};

/// `select(p, x, y) = p ? x : y` with `p` `bool` of the same shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Select;
