//! The table that `summary` prints.
