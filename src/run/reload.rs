//! Taking over another configuration without ending the process.
//!
//! ```text
//!   SIGHUP -> read and check -> mistakes: told, the old one stays
//!                            -> nothing new: told
//!                            -> a call is up: the new one waits for its end
//!                            -> stop the station, start it with the new one
//!                                 -> does not start: start it with the old one again
//! ```
//!
//! A station that starts again is the one way in which every key counts as at the first
//! start. What a process cannot change about itself, or what belongs to another process,
//! is named by [`fixed`].

use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::plan;
use crate::app::{self, Memory, Notice, Plan, Running};
use crate::call::View;
use crate::clock;
use crate::config::{self, Checked};
use crate::report::Report;
use crate::service;
use crate::tasks::Tasks;
use crate::telemetry::{Dial, kind};

/// What `systemctl status` says of a reload.
const TAKING_OVER: &str = "takes over the new configuration";
const DEFERRED: &str = "the new configuration waits for the end of the call";
const MISTAKES: &str = "the new configuration has mistakes, the old one goes on";
const DOES_NOT_START: &str = "the new configuration does not start, the old one goes on";

/// What is the same over all reloads.
pub(super) struct Host {
    /// The configuration's file.
    pub(super) file: PathBuf,
    /// Asked to read it again.
    pub(super) reload: mpsc::Receiver<()>,
    /// Ends the process.
    pub(super) stop: CancellationToken,
    pub(super) tasks: Tasks,
    pub(super) view: watch::Sender<View>,
    pub(super) report: Report,
    pub(super) dial: Dial,
    pub(super) memory: Memory,
    /// What systemd is told besides where the station stands.
    pub(super) notice: watch::Sender<Notice>,
}

/// Why a station has stopped.
enum Stopped {
    /// It was told to.
    ForGood,
    /// To start again with this configuration; since when it cannot ring.
    For(Box<Checked>, Instant),
}

impl Host {
    /// Runs the station with `config`, and with those that are taken over later, until
    /// the process is told to stop.
    ///
    /// # Errors
    /// A part that could not start, or ended by itself.
    pub(super) async fn run(mut self, mut config: Checked) -> anyhow::Result<()> {
        let mut running = self.start(&config).await?;
        self.tell(None);
        loop {
            let (new, since) = match self.until_stopped(running, &config).await? {
                Stopped::ForGood => return Ok(()),
                Stopped::For(new, since) => (*new, since),
            };
            let _alive = service::keep_alive(&self.tasks);
            match self.start(&new).await {
                Ok(started) => {
                    config = new;
                    running = started;
                    let took_ms = since.elapsed().as_millis();
                    info!(
                        message_id = kind::RELOADED,
                        took_ms, "the new configuration is taken over"
                    );
                    self.tell(None);
                }
                Err(why) => {
                    error!(
                        message_id = kind::RELOAD_REFUSED,
                        "the new configuration does not start, the old one goes on: {why:#}"
                    );
                    let again = self.start(&config).await;
                    running = again.context("the old configuration does not start again either")?;
                    self.tell(Some(DOES_NOT_START));
                }
            }
        }
    }

    async fn start(&self, config: &Checked) -> anyhow::Result<Running> {
        self.view.send_replace(View::default());
        app::start(self.plan(config)?, self.stop.clone()).await
    }

    fn plan(&self, config: &Checked) -> anyhow::Result<Plan> {
        plan(
            config.clone(),
            self.view.clone(),
            self.report.clone(),
            self.dial.clone(),
            self.memory.clone(),
        )
    }

    /// Runs until the process is told to stop, or nobody talks and another configuration
    /// is to be taken over.
    async fn until_stopped(
        &mut self,
        running: Running,
        current: &Checked,
    ) -> anyhow::Result<Stopped> {
        let stop = self.stop.child_token();
        let mut view = self.view.subscribe();
        let mut running = pin!(running.run(stop.clone()));
        let mut new = None;
        loop {
            tokio::select! {
                ended = &mut running => return ended.map(|()| Stopped::ForGood),
                Some(()) = self.reload.recv() => {
                    // What waits is older than what is in the file now.
                    new = self.read(current);
                }
                Ok(_) = view.wait_for(is_free), if new.is_some() => break,
            }
        }
        let since = clock::now();
        self.begin(Some(TAKING_OVER));
        stop.cancel();
        running.await?;
        // Nobody is left who would set it back.
        self.dial.set_back();
        match new.filter(|_| !self.stop.is_cancelled()) {
            Some(new) => Ok(Stopped::For(new, since)),
            None => {
                self.tell(None);
                Ok(Stopped::ForGood)
            }
        }
    }

    /// Reads the file again; `None`: the station goes on as it is, and the log says why.
    fn read(&self, current: &Checked) -> Option<Box<Checked>> {
        self.begin(None);
        let mut new = match config::load(&self.file) {
            Ok(new) => new,
            Err(faults) => {
                for fault in faults.iter() {
                    error!(
                        message_id = kind::RELOAD_REFUSED,
                        "the new configuration has a mistake, the old one goes on: {fault}"
                    );
                }
                self.tell(Some(MISTAKES));
                return None;
            }
        };
        for (key, how) in fixed(current, &new) {
            warn!(
                message_id = kind::RELOAD_INCOMPLETE,
                key, "a reload does not change {key}: {how}"
            );
        }
        new.log = current.log;
        if new == *current {
            info!("a reload was asked for, and the configuration is as it was");
            self.tell(None);
            return None;
        }
        if is_free(&self.view.borrow()) {
            return Some(Box::new(new));
        }
        info!(message_id = kind::RELOAD_DEFERRED, "{DEFERRED}");
        self.tell(Some(DEFERRED));
        Some(Box::new(new))
    }

    /// systemd waits from now on.
    fn begin(&self, words: Option<&'static str>) {
        let waits = self.notice.borrow().reloading;
        if !waits {
            service::tell_reloading();
        }
        self.notice.send_modify(|notice| {
            notice.reloading = true;
            notice.reloads += u64::from(!waits);
            notice.words = words;
        });
    }

    /// It needs not wait any more.
    fn tell(&self, words: Option<&'static str>) {
        self.notice.send_modify(|notice| {
            notice.reloading = false;
            notice.words = words;
        });
    }
}

/// Whether the station can stop for a moment: nobody calls, and no door is released.
fn is_free(view: &View) -> bool {
    let call = view.call.as_ref();
    call.is_none_or(|call| call.state.is_over()) && !view.door_open
}

/// What is different in `new` and does not change with a reload, and how it does.
fn fixed(current: &Checked, new: &Checked) -> Vec<(&'static str, &'static str)> {
    let mut fixed = Vec::new();
    if current.log != new.log {
        let how = "it changes with `systemctl restart doorstation`, and for a while with `doorstation log-level`";
        fixed.push(("log.level", how));
    }
    let line = |config: &Checked| {
        let wiring = &config.panel.settings.wiring;
        (wiring.relay, wiring.relay.and(Some(wiring.chips.clone())))
    };
    if line(current) != line(new) {
        let how = "`doorstation door line` tells the relay guardian its line, in /etc/doorstation/relay.env, and it changes with `systemctl restart doorstation-relay`";
        fixed.push(("panel.relay", how));
    }
    fixed
}
