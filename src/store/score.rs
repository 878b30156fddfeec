//! What is learnt of people: score entries, profiles, affinities, stays in clusters, moments.
//!
//! What they mean is decided in [`crate::domain::ledger`]; here they are read and written, a batch
//! of people at a time.

mod bulk;
mod facts;
mod people;
mod save;
mod sweep;
mod unscored;
mod view;

pub use facts::{Facts, Lock, Rebuild, facts, is_empty, rebase, save_facts, scale};
pub use people::{Person, actions, entries, moments, people, spans, states, under_revision};
pub use save::{Saved, clear, forget, save};
pub use sweep::{is_warm, sweep};
pub use unscored::{Backlog, Unscored, backlog, is_idle, mark_ignored, mark_scored, take};
pub use view::profile_at;

pub(super) use facts::STATEMENTS as FACTS_STATEMENTS;
pub(super) use people::STATEMENTS as PEOPLE_STATEMENTS;
pub(super) use sweep::STATEMENTS as SWEEP_STATEMENTS;
pub(super) use unscored::STATEMENTS as UNSCORED_STATEMENTS;
