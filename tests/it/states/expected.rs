//! What a sender's marks must do, told once more without SQL.

use std::collections::HashSet;

use colloquy::domain::id::{NodeId, RunId};
use colloquy::domain::message::MessageState;
use colloquy::domain::time::Micros;
use colloquy::store::marks::{Finish, MessageKey, Return, Sending};

use crate::mailing::{Message, Messages};

/// What a node writes down at once.
#[derive(Debug, Default)]
pub struct Written {
    /// Answers.
    pub finish: Vec<Finish>,
    /// Claims that are given back.
    pub returns: Vec<Return>,
    /// Messages that are about to be handed over.
    pub sending: Vec<Sending>,
}

fn change(messages: &mut Messages, key: MessageKey, to: impl FnOnce(Message) -> Option<Message>) {
    let message = messages.get_mut(&(key.run, key.recipient)).unwrap();
    *message = to(*message).unwrap_or(*message);
}

impl Written {
    /// The last answer and the last return once more, which changes nothing.
    pub fn repeat_last(&mut self) {
        self.finish.extend(self.finish.last().cloned());
        self.returns.extend(self.returns.last().cloned());
    }

    /// The messages afterwards.
    pub fn applied(&self, before: &Messages, node: NodeId, running: &HashSet<RunId>) -> Messages {
        let mut messages = before.clone();
        let held = |m: Message, state| m.node == Some(node) && m.state == state;
        for Finish { message, attempt, state, due_at, .. } in &self.finish {
            change(&mut messages, *message, |m| {
                let open = held(m, MessageState::Sending) || held(m, MessageState::Unknown);
                let taken_back = i64::from(*state == MessageState::Waiting);
                (open && m.attempt == *attempt).then_some(Message {
                    state: *state,
                    node: None,
                    attempt: attempt - taken_back,
                    due_at: *due_at,
                })
            });
        }
        for Sending { message, attempt, .. } in &self.sending {
            change(&mut messages, *message, |m| {
                let next = held(m, MessageState::Claimed) && m.attempt + 1 == *attempt;
                (next && running.contains(&message.run)).then_some(Message {
                    state: MessageState::Sending,
                    attempt: *attempt,
                    due_at: None,
                    ..m
                })
            });
        }
        for Return { message, due_at, .. } in &self.returns {
            let state = due_at.map_or(MessageState::Skipped, |_: Micros| MessageState::Waiting);
            change(&mut messages, *message, |m| {
                held(m, MessageState::Claimed).then_some(Message { state, node: None, due_at: *due_at, ..m })
            });
        }
        messages
    }

    /// Which messages the node may hand over: those that it holds as `sending` under the attempt that
    /// it marked.
    pub fn may_be_sent(&self, after: &Messages, node: NodeId) -> HashSet<MessageKey> {
        let stands = |mark: &&Sending| {
            let m = after[&(mark.message.run, mark.message.recipient)];
            m.state == MessageState::Sending && m.node == Some(node) && m.attempt == mark.attempt
        };
        self.sending.iter().filter(stands).map(|mark| mark.message).collect()
    }
}
