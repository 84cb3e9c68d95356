//! The sound threads before all others: a block that comes 10 ms late is heard.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tracing::debug;

/// Above everything of ours, below the kernel's own threads (50).
const PRIORITY: u8 = 20;

/// Gives the calling thread real-time priority, where the system permits that
/// (`CAP_SYS_NICE`, `LimitRTPRIO=`); elsewhere everything works as well while the
/// machine is not busy.
pub(super) fn raise() {
    let result = ThreadPriorityValue::try_from(PRIORITY).and_then(|priority| {
        set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Crossplatform(priority),
            ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin),
        )
        .map_err(|error| format!("{error:?}"))
    });
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    match result {
        Ok(()) => debug!(thread, priority = PRIORITY, "real-time priority"),
        Err(reason) => debug!(thread, reason, "no real-time priority here"),
    }
}
