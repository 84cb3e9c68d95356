//! A process that makes calls when it is told to, by lines of JSON: the station's media
//! (`examples/bench_door.rs`) or the rival (`webrtcbin.py`), and what it costs.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::common::PATIENCE;
use crate::common::process::Group;

/// Ticks a second of the times in `/proc` (`USER_HZ`; the same on every Linux machine).
const TICKS: f64 = 100.0;

/// A process that makes calls.
pub(crate) struct Door {
    process: Group,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl Door {
    /// Starts it; gives it when it is ready.
    pub(crate) async fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Group::spawn(command)?;
        let child = process.child();
        let orders = child.stdin.take().context("standard input")?;
        let replies = child.stdout.take().context("standard output")?;
        let mut door = Self {
            process,
            orders,
            replies: BufReader::new(replies).lines(),
        };
        door.hear("ready").await?;
        Ok(door)
    }

    /// Gives an order; gives the first reply that has `wanted`.
    pub(crate) async fn ask(&mut self, order: Value, wanted: &str) -> Result<Value> {
        self.orders
            .write_all(format!("{order}\n").as_bytes())
            .await?;
        self.hear(wanted).await
    }

    async fn hear(&mut self, wanted: &str) -> Result<Value> {
        let heard = async {
            loop {
                let line = self.replies.next_line().await?;
                let line = line.with_context(|| format!("it ended instead of '{wanted}'"))?;
                let reply: Value = serde_json::from_str(&line).context(line)?;
                if !reply[wanted].is_null() {
                    return Ok(reply);
                }
            }
        };
        let heard = tokio::time::timeout(PATIENCE, heard).await;
        heard.with_context(|| format!("no '{wanted}' within {PATIENCE:?}"))?
    }

    fn proc(&self, file: &str) -> Result<String> {
        let id = self.process.id().context("it runs")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    /// Processor time so far, seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        // After the name, which may hold anything: state is the third field.
        let (_, fields) = stat.rsplit_once(')').context("a name")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        ensure!(fields.len() > 12, "too few fields: {stat}");
        let (user, system): (f64, f64) = (fields[11].parse()?, fields[12].parse()?);
        Ok((user + system) / TICKS)
    }

    /// The most memory that was resident, MiB.
    pub(crate) fn peak_rss(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next());
        Ok(kib.context("no VmHWM")?.parse::<f64>()? / 1024.0)
    }
}
