//! The panel seam: buttons, lights.
//!
//! Lights are a function of the published [`View`](crate::call::View) and of nothing
//! else: first a [`Sign`], then a pattern.
