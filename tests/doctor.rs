//! `doorstation doctor` through the real binary, with faults in what it looks at.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use common::station::{DOOR, Demo, PASSWORD};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

mod common;
mod coturn;
mod video_file;

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorstation");

/// The doctor's findings and its exit code.
struct Visit {
    findings: Vec<Value>,
    code: i32,
}

impl Visit {
    async fn pay(config: &Path, socket: &Path) -> Result<Self> {
        Self::by(Command::new(PROGRAM), config, socket).await
    }

    /// `program` is the doctor's program, or one that ends by running its arguments.
    async fn by(mut program: Command, config: &Path, socket: &Path) -> Result<Self> {
        let output = program
            .args(["doctor", "--json", "--config"])
            .arg(config)
            .arg("--socket")
            .arg(socket)
            .stdin(Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8(output.stdout)?;
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let findings = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let code = output.status.code().context("killed")?;
        Ok(Self { findings, code })
    }

    fn of(&self, check: &str) -> Result<&Value> {
        let found = self
            .findings
            .iter()
            .find(|finding| finding["check"] == check);
        found.with_context(|| format!("no line of {check}"))
    }

    /// The line of `check` is a failure; its words hold `seen`, what to do `remedy`.
    fn fails(&self, check: &str, seen: &str, remedy: &str) -> Result<()> {
        self.tells("failure", check, seen, remedy)?;
        ensure!(self.code == 1, "exit code {}", self.code);
        Ok(())
    }

    /// The line of `check` is of this grade, with these words in it.
    fn tells(&self, grade: &str, check: &str, seen: &str, remedy: &str) -> Result<()> {
        let finding = self.of(check)?;
        let says = |field: &str, words: &str| {
            finding[field]
                .as_str()
                .is_some_and(|text| text.contains(words))
        };
        ensure!(finding["grade"] == grade, "{finding}");
        ensure!(says("seen", seen) && says("remedy", remedy), "{finding}");
        Ok(())
    }
}

/// A folder with a configuration of these lines, and a password file beside it.
fn configured(lines: &str, password: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("password");
    fs::write(&secret, password)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let file = folder.path().join("doorstation.toml");
    fs::write(&file, lines)?;
    Ok((folder, file))
}

fn account(rest: &str, websocket: &str) -> String {
    format!(
        "[call]\nring = [\"cloud:{DOOR}\"]\n\
         [[account]]\nname = \"cloud\"\nuser = \"alice@demo.local\"\n\
         password_file = \"password\"\nrest = \"{rest}\"\nwebsocket = \"{websocket}\"\n"
    )
}

/// A certificate that ended on the first day of 2020, PEM.
fn ended_certificate() -> Result<String> {
    let mut parameters = rcgen::CertificateParams::new(vec!["door.test".to_owned()])?;
    parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate()?;
    Ok(parameters.self_signed(&key)?.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_and_then_the_password_is_wrong() -> Result<()> {
    let gateway = Demo::new().user("alice").start().await?;
    let websocket = gateway.url().replacen("http", "ws", 1);
    let lines = account(gateway.url(), &websocket) + "[camera]\nsource = \"test\"\n";
    let (folder, file) = configured(&lines, PASSWORD)?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    for check in ["configuration", "account cloud", "panel", "picture"] {
        ensure!(visit.of(check)?["grade"] == "ok", "{check}");
    }
    // A busy machine draws and encodes fewer pictures, which is a warning.
    for check in ["camera", "encoder VP8"] {
        let finding = visit.of(check)?;
        ensure!(finding["grade"] != "failure", "{finding}");
    }

    fs::write(folder.path().join("password"), "hunter2hunter2")?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    visit.fails(
        "account cloud",
        "refuses our user name or password",
        "password_file",
    )?;
    ensure!(
        !visit
            .findings
            .iter()
            .any(|finding| finding.to_string().contains("hunter2")),
        "the password is in the output"
    );
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_camera_no_card_no_name_server_and_an_old_certificate() -> Result<()> {
    let lines = account("https://kandy.invalid", "wss://kandy.invalid")
        + "[gateway]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n\
           certificate_file = \"old.pem\"\nkey_file = \"old.key\"\n\
           [[gateway.user]]\nname = \"bob\"\npassword_file = \"password\"\n\
           [camera]\nsource = \"v4l2:/dev/video99\"\n\
           [sound]\ncapture = \"hw:CARD=Absent\"\nplayback = \"hw:CARD=Absent\"\n";
    let (folder, file) = configured(&lines, PASSWORD)?;
    fs::write(folder.path().join("old.pem"), ended_certificate()?)?;
    fs::write(folder.path().join("old.key"), "")?;
    fs::set_permissions(
        folder.path().join("old.key"),
        fs::Permissions::from_mode(0o644),
    )?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    visit.fails(
        "server kandy.invalid:443",
        "no name server knows it",
        "resolv.conf",
    )?;
    visit.fails("certificate", "ended", "new certificate")?;
    visit.fails("rights", "old.key", "chmod 600")?;
    visit.fails("camera", "/dev/video99", "v4l2-ctl")?;
    visit.fails("microphone", "Absent", "arecord -L")?;
    visit.fails("speaker", "Absent", "aplay -L")?;
    visit.fails("account cloud", "kandy.invalid", "server")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_told_with_every_mistake_and_the_machine_all_the_same() -> Result<()> {
    let (folder, file) = configured("[camra]\nsource = 1\n[sound]\nvolumee = 3\n", "")?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    visit.fails("configuration", "camra", "correct the file")?;
    visit.fails("configuration", "volumee", "correct the file")?;
    visit.of("clock").map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_station_it_asks_the_station() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("control");
    let path = socket.to_str().context("path")?;
    let station = Demo::new()
        .user("alice")
        .option("--control", path)
        .start()
        .await?;
    let lines = account("http://127.0.0.1:9", "ws://127.0.0.1:9");
    let (_folder, file) = configured(&lines, PASSWORD)?;
    let visit = Visit::pay(&file, &socket).await?;
    for check in [
        "station",
        "account home",
        "camera",
        "microphone",
        "speaker",
        "panel",
        "door",
    ] {
        ensure!(visit.of(check)?["grade"] == "ok", "{}", visit.of(check)?);
    }
    visit.fails("server 127.0.0.1:9", "refused", "port right")?;
    station.stop().await
}

/// What a lens shows that is covered, faces the sun, or has its film on.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_shows_nobody_is_told_with_what_to_look_at() -> Result<()> {
    let (folder, file) = configured("", PASSWORD)?;
    let video = folder.path().join("picture.webm");
    // Smaller, and larger again: all edges are smeared over some thirty pixels.
    let blurred = "videotestsrc num-buffers=30 ! video/x-raw,width=640,height=360 \
                   ! videoscale ! video/x-raw,width=20,height=12 ! videoscale";
    for (source, word, remedy) in [
        (
            "videotestsrc num-buffers=30 pattern=black",
            "black",
            "lens covered",
        ),
        (
            "videotestsrc num-buffers=30 pattern=white",
            "over-exposed",
            "exposure",
        ),
        (blurred, "blurred", "focus"),
    ] {
        video_file::make_of(&video, source);
        let lines = account("http://127.0.0.1:9", "ws://127.0.0.1:9")
            + &format!("[camera]\nsource = \"file:{}\"\n", video.display())
            + "[sound]\ncapture = \"none\"\nplayback = \"none\"\n";
        fs::write(&file, lines)?;
        let visit = Visit::pay(&file, &folder.path().join("none")).await?;
        visit.tells("warning", "picture", word, remedy)?;
    }
    Ok(())
}

/// What a machine of these faults shows, on a machine that has none of them: in file
/// systems of its own, laid over the kernel's, for the doctor alone. `$1` is the station's
/// state, `$2` what stands in for `iw`, the rest is run there.
const FAULTY_MACHINE: &str = r#"
set -e
state=$1 iw=$2
shift 2
mount -t tmpfs -o size=8m full "$state"
cat /dev/zero >"$state/rest" 2>/dev/null || true
mount -t tmpfs faults /sys/block
mkdir -p /sys/block/mmcblk0/device
echo '0x0b 0x01' >/sys/block/mmcblk0/device/life_time
mount -t tmpfs faults /sys/fs
mkdir -p /sys/fs/ext4/mmcblk0p2
echo 3 >/sys/fs/ext4/mmcblk0p2/errors_count
mount -t tmpfs faults /sys/class/thermal
mkdir -p /sys/class/thermal/thermal_zone0
echo 84000 >/sys/class/thermal/thermal_zone0/temp
mount -t tmpfs faults /sys/devices/platform
mkdir -p /sys/devices/platform/soc/soc:firmware
echo 50005 >/sys/devices/platform/soc/soc:firmware/get_throttled
# What replaces this shell keeps its number.
mount -t tmpfs faults "/proc/$$/net"
echo ' wlan0: 0000   33.  -77.  -256        0      0      0      0      0        0' \
    >"/proc/$$/net/wireless"
mount --bind "$iw" /usr/sbin/iw
exec "$@"
"#;

/// libfaketime, of the package of this name.
fn false_clock() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = files.find(|file| file.exists());
    found.context("libfaketime is missing: run script/setup")
}

/// Whether a process may have file systems of its own; says so where it may not, which is a
/// failure where nothing may be skipped.
async fn may_have_its_own_files() -> Result<bool> {
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .output()
        .await?;
    if tried.status.success() {
        return Ok(true);
    }
    let why = String::from_utf8_lossy(&tried.stderr).into_owned();
    let must_run = ["CI", "DOORSTATION_TEST_ALL"];
    let must_run = must_run.iter().any(|name| std::env::var_os(name).is_some());
    ensure!(!must_run, "no file systems of one's own: {why}");
    eprintln!("skipped: this machine allows no file systems of one's own: {why}");
    Ok(false)
}

/// A full disk, a worn card with errors on it, a clock that was never set, a hot processor
/// with too little power, and a radio that is weak and asleep.
#[tokio::test]
async fn each_fault_of_the_machine_is_told_with_what_to_do() -> Result<()> {
    if !may_have_its_own_files().await? {
        return Ok(());
    }
    let lines = "[gateway]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n\
                 [[gateway.user]]\nname = \"bob\"\npassword_file = \"password\"\n\
                 [camera]\nsource = \"v4l2:/dev/video99\"\n\
                 [sound]\ncapture = \"none\"\nplayback = \"none\"\n";
    let (folder, file) = configured(lines, PASSWORD)?;
    let state = folder.path().join("state");
    fs::create_dir(&state)?;
    let iw = folder.path().join("iw");
    fs::write(&iw, "#!/bin/sh\necho 'Power save: on'\n")?;
    fs::set_permissions(&iw, fs::Permissions::from_mode(0o755))?;
    let mut machine = Command::new("unshare");
    machine
        .args(["--user", "--map-root-user", "--mount"])
        .args(["sh", "-c", FAULTY_MACHINE, "sh"])
        .args([&state, &iw])
        .arg("env")
        .arg(format!("LD_PRELOAD={}", false_clock()?.display()))
        // Only the time of day: what waits for a moment still waits for it.
        .args([
            "FAKETIME=1970-01-01 00:10:00",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ])
        .arg(PROGRAM);
    let visit = Visit::by(machine, &file, &folder.path().join("none")).await?;
    visit.fails("disk", "0 MB free", "journalctl --vacuum-size")?;
    visit.fails("clock", "1970", "timedatectl set-ntp")?;
    visit.fails("temperature", "84 °C", "shade")?;
    visit.fails("power", "too little voltage now", "5.1 V")?;
    visit.fails("wear mmcblk0", "planned life", "another card")?;
    visit.fails("file system mmcblk0p2", "3 errors", "save what matters")?;
    visit.tells("warning", "radio wlan0", "-77 dBm", "access point nearer")?;
    visit.tells("warning", "power save wlan0", "bursts", "power_save off")
}

/// It gives nothing but zeros, at the pace of a card.
#[tokio::test]
async fn a_muted_microphone_is_told_with_the_mixer() -> Result<()> {
    let lines = account("http://127.0.0.1:9", "ws://127.0.0.1:9")
        + "[camera]\nsource = \"v4l2:/dev/video99\"\n\
           [sound]\ncapture = \"muted\"\nplayback = \"none\"\n";
    let (folder, file) = configured(&lines, PASSWORD)?;
    let fifo = folder.path().join("zeros");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
    )?;
    let cards = folder.path().join("asound.conf");
    fs::write(
        &cards,
        format!(
            "pcm.nothing {{ type null }}\n\
             pcm.muted {{\n  type file\n  slave.pcm \"nothing\"\n  file \"/dev/null\"\n  \
             infile \"{}\"\n  format \"raw\"\n}}\n",
            fifo.display()
        ),
    )?;
    let _card = Command::new("sh")
        .args([
            "-c",
            "exec >\"$1\"; while head -c 4800 /dev/zero; do sleep 0.05; done",
            "sh",
        ])
        .arg(&fifo)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut doctor = Command::new(PROGRAM);
    doctor.env("ALSA_CONFIG_PATH", cards);
    let visit = Visit::by(doctor, &file, &folder.path().join("none")).await?;
    visit.fails("microphone", "digital silence", "alsamixer")
}

/// `[[call.ice_server]]` of a TURN server, in a file of an account that nobody answers.
fn helped_by(turn: &str, user: &str) -> String {
    account("http://127.0.0.1:9", "ws://127.0.0.1:9")
        + &format!(
            "[[call.ice_server]]\nurl = \"{turn}\"\nusername = \"{user}\"\n\
             password_file = \"password\"\n\
             [camera]\nsource = \"v4l2:/dev/video99\"\n\
             [sound]\ncapture = \"none\"\nplayback = \"none\"\n"
        )
}

/// A log-in that a service lends for a while: its end is in its name.
#[tokio::test]
async fn a_turn_log_in_that_expired_is_told_apart_from_a_wrong_one() -> Result<()> {
    let Some(coturn) = coturn::start_with_lent_logins().await? else {
        return Ok(());
    };
    let now = doorstation::clock::wall().duration_since(SystemTime::UNIX_EPOCH)?;
    let hour = Duration::from_secs(3600);
    let check = format!("ice {}", coturn.url());
    let (folder, file) = configured("", "")?;
    for end in [now + hour, now - hour] {
        let (user, password) = coturn::lent_login(end);
        fs::write(folder.path().join("password"), password)?;
        fs::write(&file, helped_by(coturn.url(), &user))?;
        let visit = Visit::pay(&file, &folder.path().join("none")).await?;
        if end > now {
            let finding = visit.of(&check)?;
            ensure!(finding["grade"] == "ok", "{finding}");
        } else {
            visit.fails(&check, "expired 60 min ago", "new username and password")?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_servers_lend_an_address_or_it_is_told_why_they_do_not() -> Result<()> {
    let Some(coturn) = coturn::start().await? else {
        return Ok(());
    };
    let servers = |password: &str| {
        let turn = coturn.url();
        let stun = turn.replacen("turn", "stun", 1);
        let stun = stun.split('?').next().unwrap_or_default();
        let (user, _) = coturn::LOGIN;
        let help = format!(
            "[[call.ice_server]]\nurl = \"{stun}\"\n\
             [[call.ice_server]]\nurl = \"{turn}\"\nusername = \"{user}\"\n\
             password_file = \"{password}\"\n"
        );
        let (call, account) = account("http://127.0.0.1:9", "ws://127.0.0.1:9")
            .split_once("[[account]]")
            .map(|(call, account)| (call.to_owned(), account.to_owned()))
            .unwrap_or_default();
        (
            stun.to_owned(),
            format!(
                "{call}{help}[[account]]{account}[sound]\ncapture = \"none\"\nplayback = \"none\"\n"
            ),
        )
    };
    let (_, right) = coturn::LOGIN;
    let (folder, file) = configured("", right)?;
    let none = folder.path().join("none");
    let (stun, lines) = servers("password");
    fs::write(&file, lines)?;
    let visit = Visit::pay(&file, &none).await?;
    for url in [stun.as_str(), coturn.url()] {
        let finding = visit.of(&format!("ice {url}"))?;
        ensure!(finding["grade"] == "ok", "{finding}");
        ensure!(
            finding["seen"]
                .as_str()
                .is_some_and(|seen| seen.ends_with(" ms")),
            "{finding}"
        );
    }

    fs::write(folder.path().join("password"), "hunter2hunter2")?;
    let visit = Visit::pay(&file, &none).await?;
    let turn = format!("ice {}", coturn.url());
    visit.fails(&turn, "refuses the log-in: 401", "password_file")?;

    drop(coturn);
    let visit = Visit::pay(&file, &none).await?;
    visit.fails(&turn, "no answer", "router")
}
