//! What a benchmark finds, and what it should find.

use std::fmt;

/// The bound that a figure has to keep.
pub enum Target {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
}

/// A measured value with its target.
pub struct Figure {
    /// What was measured, with its unit.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The bound.
    pub target: Target,
}

impl Figure {
    /// Whether the value keeps its bound.
    pub fn met(&self) -> bool {
        match self.target {
            Target::AtLeast(bound) => self.value >= bound,
            Target::AtMost(bound) => self.value <= bound,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target {
            Target::AtLeast(bound) => format!("≥ {bound}"),
            Target::AtMost(bound) => format!("≤ {bound}"),
        };
        let verdict = if self.met() { "met" } else { "missed" };
        write!(f, "{:<58} {:>10.3}  {target:<10} {verdict}", self.name, self.value)
    }
}

/// The middle value; of an even number, the lower of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}
