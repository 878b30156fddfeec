//! What must hold after each step.

use std::collections::HashSet;

use colloquy::domain::id::{RecipientId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::store::runs;

use super::Play;
use crate::mailing::messages;
use crate::states::step::Step;

impl Play {
    /// What must hold after every step.
    pub(super) async fn check(&mut self, step: Step, running: &HashSet<RunId>) {
        let after = messages(&self.store).await;
        assert!(self.before.keys().all(|key| after.contains_key(key)), "a message is gone");
        for (key, new) in &after {
            let old = self.before.get(key);
            match old {
                None => {
                    assert_eq!(step, Step::ClaimNext, "{key:?} came from nowhere");
                    assert!(matches!(new.state, MessageState::Claimed | MessageState::Waiting), "{key:?} is {new:?}");
                }
                Some(old) if old.state != new.state => {
                    assert!(old.state.may_become(new.state), "{key:?}: {old:?} → {new:?}");
                    self.arrows.insert((old.state, new.state));
                }
                Some(old) => assert!(new.node.is_none() || old.node == new.node, "{key:?}: {old:?} → {new:?}"),
            }
            if old.is_none_or(|old| old.state != new.state) {
                let (run, recipient) = *key;
                let taken = matches!(new.state, MessageState::Claimed | MessageState::Sending);
                assert!(!taken || running.contains(&run), "{key:?} was taken although its run does not run");
                let claimed = new.state == MessageState::Claimed;
                assert!(!claimed || !self.barred.holds(recipient, self.now), "{key:?} was claimed without permission");
            }
            let held = matches!(new.state, MessageState::Claimed | MessageState::Sending);
            let open = matches!(new.state, MessageState::Waiting | MessageState::Deferred);
            assert!(new.node.is_some() == held || new.state == MessageState::Unknown, "{key:?}: {new:?}");
            assert_eq!(new.due_at.is_some(), open, "{key:?}: {new:?}");
        }
        let changed = |key: &&(RunId, RecipientId)| self.before.get(*key) != after.get(*key);
        let mut changed: HashSet<_> = after.keys().filter(changed).map(|(run, _)| *run).collect();
        self.before = after;
        // Whom a claim passes over is counted, and has no message.
        if step == Step::ClaimNext {
            changed.extend(self.recent());
        }
        for run in changed {
            self.check_run(run).await;
        }
    }

    /// Every message counts in one state, and everybody up to the cursor has one or is excluded.
    async fn check_run(&self, run: RunId) {
        let mut session = self.store.read().await.unwrap();
        let states = runs::states(&mut session, run).await.unwrap();
        let messages = self.before.keys().filter(|(r, _)| *r == run).count() as i64;
        assert_eq!(states.values().sum::<i64>(), messages, "run {run}: {states:?}");
        let excluded: i64 = runs::exclusions(&mut session, run).await.unwrap().iter().map(|(_, people)| people).sum();
        let cursor = runs::by_id(&mut session, run).await.unwrap().unwrap().cursor;
        let dealt_with = self.people.iter().filter(|who| **who <= cursor).count() as i64;
        assert_eq!(messages + excluded, dealt_with, "run {run} up to {cursor}");
    }
}
