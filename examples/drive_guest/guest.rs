//! The emulated machine, over SSH: its lines, and the other end of its sound card.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hound::{SampleFormat, WavSpec, WavWriter};
use tokio::process::Command;

use crate::common::sound::{RATE, Recording, Voice};
use crate::common::{PATIENCE, clock};
use crate::lines::Lines;

/// Prints what was seen of the lines so far.
pub(crate) const LINES: &str = "cat /run/lines.txt";

/// How often the machine is asked anew: an answer costs it a process or two.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How much of the speaker's newest sound is looked at, in bytes: 10 s.
const NEWEST: u32 = 10 * RATE * 2;

/// The end of the sound card that is not the station's, with as much patience as it has: an
/// emulated core has much to do.
const CARD: &str = "-q -t raw -f S16_LE -r 48000 -c 1 -D plughw:CARD=Loopback,DEV=1 \
    --buffer-time=2000000 --period-time=200000";

/// What the machine does all the time, each a service of its own: it watches the lines,
/// speaks into the microphone what is in a file, and records the speaker.
const SERVICES: [(&str, &str); 3] = [
    ("watch", "exec lines watch >/run/lines.txt"),
    ("visitor", "while cat /run/voice; do :; done | aplay $CARD"),
    ("ear", "exec arecord $CARD /run/speaker"),
];

/// The machine.
#[derive(Debug)]
pub(crate) struct Guest {
    configuration: PathBuf,
    host: String,
}

impl Guest {
    pub(crate) fn new(configuration: &Path, host: &str) -> Self {
        Self {
            configuration: configuration.to_owned(),
            host: host.to_owned(),
        }
    }

    /// Begins to watch it; the visitor says what the WAV file `voice` holds, for ever.
    pub(crate) async fn begin(&self, voice: &Path) -> Result<()> {
        let voice = std::fs::File::open(voice)?;
        // Without the header of a plain WAV file.
        let output = self.run("tail -c +45 >/run/voice", voice.into()).await?;
        ensure!(output.status.success(), "the machine takes no file");
        for (name, script) in SERVICES {
            let script = script.replace("$CARD", CARD);
            self.says(&format!(
                "systemd-run -q --collect --unit={name} bash -c '{script}'"
            ))
            .await?;
        }
        Ok(())
    }

    /// Runs `command` in it, and gives what it prints.
    pub(crate) async fn says(&self, command: &str) -> Result<String> {
        Ok(String::from_utf8(self.gives(command).await?)?)
    }

    async fn gives(&self, command: &str) -> Result<Vec<u8>> {
        let output = self.run(command, Stdio::null()).await?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command}: {}", complaints.trim());
        Ok(output.stdout)
    }

    async fn run(&self, command: &str, input: Stdio) -> Result<Output> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&self.configuration);
        ssh.args([&self.host, command]).stdin(input);
        ssh.kill_on_drop(true).output().await.context("no ssh")
    }

    /// What its lines did so far.
    pub(crate) async fn lines(&self) -> Result<Lines> {
        Lines::read(&self.says(LINES).await?)
    }

    /// Waits until its lines did what is meant.
    pub(crate) async fn until(&self, what: &str, meant: impl Fn(&Lines) -> bool) -> Result<Lines> {
        let deadline = clock::now() + PATIENCE;
        loop {
            let lines = self.lines().await?;
            if meant(&lines) {
                return Ok(lines);
            }
            if clock::now() > deadline {
                bail!("the lines did not show {what} within {PATIENCE:?}: {lines:?}");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Waits until its speaker plays `voice`, for `least_ms` of the latest ten seconds;
    /// gives for how long it does. The hum between the marks counts: where sound is late,
    /// it is stretched, and a tone with it.
    pub(crate) async fn hears(&self, voice: Voice, least_ms: f64) -> Result<f64> {
        let deadline = clock::now() + PATIENCE;
        loop {
            let newest = self.speaker(&format!("tail -c {NEWEST}")).await?;
            let scale = |sample: i16| f64::from(sample) / f64::from(i16::MAX);
            let newest = Recording::new(newest.into_iter().map(scale).collect());
            let heard = newest.heard_ms(voice.mark_hz, 0.0) + newest.heard_ms(voice.hum_hz, 0.0);
            if heard >= least_ms {
                return Ok(heard);
            }
            if clock::now() > deadline {
                bail!(
                    "{heard} ms of the latest {} ms are the voice",
                    newest.length_ms()
                );
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Keeps all that the speaker played as a WAV file.
    pub(crate) async fn keep_speaker(&self, file: &Path) -> Result<()> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(file, spec)?;
        for sample in self.speaker("cat").await? {
            writer.write_sample(sample)?;
        }
        Ok(writer.finalize()?)
    }

    /// The samples of the speaker, as far as `program` gives them.
    async fn speaker(&self, program: &str) -> Result<Vec<i16>> {
        // Whole samples: the file grows by whole periods.
        let bytes = self.gives(&format!("{program} /run/speaker")).await?;
        let samples = bytes.chunks_exact(2);
        Ok(samples
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect())
    }
}
