//! Automatic differentiation as a transformation of graphs.
