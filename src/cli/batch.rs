//! How the system divides the processor between a process that only sends and the others.

use rustix::process::nice;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};

/// What the library makes a niceness of zero of.
const NOT_NICE: u8 = 47;

/// Has this thread, and those that it starts, work in batches (`SCHED_BATCH`, sched(7)): an answer that arrives does not
/// interrupt whoever runs, so that several are dealt with in a row. It saves a fifth of the switches between threads, and
/// nobody waits for a sender. A process whose niceness or policy somebody has set is left as it is.
pub(super) fn work_in_batches() {
    let usual = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    if nice(0) != Ok(0) || thread_schedule_policy().ok() != Some(usual) {
        return;
    }
    let Ok(priority) = ThreadPriorityValue::try_from(NOT_NICE) else { return };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    // Where it is not allowed, sending takes a little more.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_a_sender_work_in_batches_and_are_as_nice_as_before() {
        let look = || (thread_schedule_policy().unwrap(), nice(0).unwrap());
        let started = std::thread::spawn(move || {
            work_in_batches();
            (look(), std::thread::spawn(look).join().unwrap())
        });
        let before = look();
        let [usual, batch] = [NormalThreadSchedulePolicy::Other, NormalThreadSchedulePolicy::Batch];
        let usual = before == (ThreadSchedulePolicy::Normal(usual), 0);
        let expected = if usual { (ThreadSchedulePolicy::Normal(batch), 0) } else { before };
        assert_eq!(started.join().unwrap(), (expected, expected));
        assert_eq!(look(), before, "other threads stay as they are");
    }
}
