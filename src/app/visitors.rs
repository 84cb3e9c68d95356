//! A picture of each visitor, taken when they press and kept in the album.

use std::path::Path;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::album::Album;
use crate::call::{CallId, Direction, View};
use crate::clock;
use crate::media::gst::{Camera, NoSnapshot};

/// The folder of the pictures, below the station's state.
const FOLDER: &str = "visitors";

/// The album below the folder `state`; `None` where no picture is wanted, or none can be
/// kept: visitors ring all the same.
pub(super) fn album(state: &Path, most: usize) -> Option<Album> {
    if most == 0 {
        return None;
    }
    Album::open(&state.join(FOLDER), most)
        .inspect_err(|error| warn!(%error, "no picture of a visitor is kept"))
        .ok()
}

/// Takes pictures until the station is gone: one for each call that the door begins.
/// Two presses at one time are one call, and so one picture.
pub(super) async fn follow(mut view: watch::Receiver<View>, camera: Camera, album: Album) {
    let mut latest = None;
    while view.changed().await.is_ok() {
        let Some(call) = begun(&view.borrow_and_update()) else {
            continue;
        };
        if latest.as_ref() != Some(&call) {
            latest = Some(call.clone());
            take(call, &camera, &album).await;
        }
    }
}

/// The call that somebody at the door began.
fn begun(view: &View) -> Option<CallId> {
    let call = view.call.as_ref()?;
    (call.direction == Direction::Outgoing).then(|| call.id.clone())
}

async fn take(call: CallId, camera: &Camera, album: &Album) {
    let taken = clock::wall();
    let snapshot = match camera.snapshot().await {
        Ok(snapshot) => snapshot,
        // Of the camera's fault the log has a line already.
        Err(error @ NoSnapshot::NoPicture(_)) => {
            return info!(call_id = %call, %error, "there is no picture of the visitor");
        }
        Err(error) => {
            return warn!(call_id = %call, %error, "there is no picture of the visitor");
        }
    };
    let (album, name) = (album.clone(), call.to_string());
    let (bytes, waited) = (snapshot.jpeg.len(), snapshot.waited);
    let keep = move || album.keep(&name, taken, &snapshot.jpeg);
    match tokio::task::spawn_blocking(keep).await {
        Ok(Ok(())) => {
            let waited_ms = waited.as_millis();
            info!(call_id = %call, bytes, waited_ms, "a picture of the visitor is kept");
        }
        Ok(Err(error)) => warn!(call_id = %call, %error, "the visitor's picture is lost"),
        Err(error) => warn!(call_id = %call, %error, "the visitor's picture is lost"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::call::{CallView, State};
    use crate::media::gst::{CameraSettings, Source};
    use crate::tasks::Tasks;

    fn view(id: &str, direction: Direction) -> View {
        View {
            call: Some(CallView {
                id: CallId::new(id),
                direction,
                state: State::Initiating,
                peers: Vec::new(),
                made: clock::now(),
                started: None,
            }),
            ..View::default()
        }
    }

    #[tokio::test]
    async fn each_call_of_the_door_gives_one_picture_and_calls_to_it_none() {
        let tasks = Tasks::new();
        let (inbox, _news) = mpsc::channel(16);
        let settings = CameraSettings {
            width: 320,
            height: 240,
            ..CameraSettings::new(Source::Test)
        };
        let camera = Camera::start(settings, inbox, &tasks).expect("a camera");
        let home = tempfile::tempdir().expect("a directory");
        let album = Album::open(home.path(), 10).expect("an album");
        let published = watch::Sender::new(View::default());
        tasks.spawn(
            "visitors",
            follow(published.subscribe(), camera, album.clone()),
        );
        let kept = async |count| {
            while album.entries().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let kept = async |count| {
            let patience = Duration::from_secs(30);
            let waited = tokio::time::timeout(patience, kept(count));
            waited.await.expect("a picture");
        };
        published.send_replace(view("in", Direction::Incoming));
        published.send_replace(view("first", Direction::Outgoing));
        kept(1).await;
        // The same call goes on.
        published.send_modify(|view| view.stopping = true);
        published.send_replace(View::default());
        published.send_replace(view("second", Direction::Outgoing));
        kept(2).await;
        let names: Vec<String> = album.entries().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["second", "first"]);
        tasks.stop().await;
    }
}
