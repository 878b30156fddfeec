//! What the demonstration and development need beside the product itself.

pub mod catcher;
