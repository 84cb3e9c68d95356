//! Between the page's button and the core: wishes become inputs with a ticket, and the
//! answer with the same ticket goes back to whoever asked.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use crate::call::{Address, Input, Refused};
use crate::gateway::{Closed, OpenDoor};
use crate::station::Answer;
use crate::tasks::Tasks;

/// Wishes and answers that may wait: more people than live in a house. A wish too many
/// is refused by the gateway; an answer too many is an error in the log.
const WAITING: usize = 16;

/// Starts the go-between; gives where wishes and where answers go.
pub(super) fn start(
    inbox: mpsc::Sender<Input>,
    tasks: &Tasks,
) -> (mpsc::Sender<OpenDoor>, mpsc::Sender<Answer>) {
    let (wishes, mut asked) = mpsc::channel::<OpenDoor>(WAITING);
    let (answers, mut answered) = mpsc::channel::<Answer>(WAITING);
    tasks.spawn("page-door", async move {
        let mut waiting: BTreeMap<u64, oneshot::Sender<_>> = BTreeMap::new();
        let mut ticket = 0;
        loop {
            tokio::select! {
                Some((ticket, result)) = answered.recv() => {
                    if let Some(answer) = waiting.remove(&ticket) {
                        // Whoever asked may have gone.
                        let _ = answer.send(result.map_err(closed));
                    }
                }
                // The core answers each of them soon, so what waits is bounded by time.
                Some(OpenDoor { user, answer }) = asked.recv(), if waiting.len() < WAITING => {
                    ticket += 1;
                    waiting.insert(ticket, answer);
                    let user = Address::new(user);
                    if inbox.send(Input::OpenDoor { ticket, user }).await.is_err() {
                        return;
                    }
                }
                else => return,
            }
        }
    });
    (wishes, answers)
}

fn closed(refused: Refused) -> Closed {
    Closed {
        forbidden: matches!(refused, Refused::NotAllowed | Refused::NoDoor),
        code: refused.word(),
        reason: refused.sentence(),
    }
}
