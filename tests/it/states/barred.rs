//! Who may not be mailed, as the play has decided.

use std::collections::{HashMap, HashSet};

use colloquy::domain::id::RecipientId;
use colloquy::domain::time::Micros;

/// Who may not be mailed.
#[derive(Default)]
pub struct Barred {
    pub left: HashSet<RecipientId>,
    pub suppressed: HashSet<RecipientId>,
    pub paused: HashMap<RecipientId, Micros>,
}

impl Barred {
    pub fn holds(&self, who: RecipientId, now: Micros) -> bool {
        self.left.contains(&who)
            || self.suppressed.contains(&who)
            || self.paused.get(&who).is_some_and(|until| *until > now)
    }
}
