//! Hash rings.
