//! From the file as written to the file as used, section by section.
//!
//! A value that is wrong is noted and replaced by its default, so that reading
//! goes on; a configuration with a mistake noted is never handed out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Surroundings;
use super::checked::{Call, Camera, CameraSource, Checked, HOME, Log, Sound, Station};
use super::door::door;
use super::fault::nearest;
use super::operations;
use super::panel::panel;
use super::people::Server;
use super::raw::{At, Table, meant, short};
use super::ring::{named_plans, ring_plan};
use super::servers::{self, ice_servers};
use crate::call::Wish;

/// Reads every section.
pub(super) fn document(file: &mut Table<'_, '_>, around: &Surroundings) -> Checked {
    let gateway = servers::gateway(&mut file.table("gateway"), around);
    let mut accounts = Vec::new();
    let mut servers: Vec<Server> = gateway.iter().map(Server::of_gateway).collect();
    for mut table in file.tables("account") {
        if let Some((id, account)) = servers::account(&mut table, around) {
            if servers.iter().any(|server| server.id == account.id) {
                let what = match account.id.as_str() {
                    HOME => {
                        "'home' is the embedded gateway's own account; choose another name".into()
                    }
                    name => format!("there are two accounts named '{name}'"),
                };
                table.note(&id, what);
            }
            servers.push(Server::of_account(&account));
            accounts.push(account);
        }
    }
    let call = call(&mut file.table("call"), &servers, around);
    let plans: Vec<_> = call.plans.iter().map(|(name, _)| name.clone()).collect();
    let door = door(&mut file.table("door"), gateway.as_ref(), &servers, around);
    let checked = Checked {
        station: station(&mut file.table("station")),
        call,
        accounts,
        gateway,
        door,
        camera: camera(&mut file.table("camera"), &around.directory),
        sound: sound(&mut file.table("sound")),
        panel: panel(&mut file.table("panel"), around, &plans),
        log: log(&mut file.table("log")),
        control: operations::control(&mut file.table("control"), around),
        metrics: operations::metrics(&mut file.table("metrics")),
    };
    if servers.is_empty() && file.noted() == 0 {
        file.missing(
            "gateway",
            "the bell needs somebody to ring: add [gateway], or [[account]] for a Kandy Link service",
        );
    }
    file.finish();
    checked
}

fn station(table: &mut Table<'_, '_>) -> Station {
    let name = name(table, "name").unwrap_or_else(|| "Front door".into());
    table.finish();
    Station { name }
}

fn call(table: &mut Table<'_, '_>, servers: &[Server], around: &Surroundings) -> Call {
    let call = Call {
        ring: ring_plan(table, servers),
        plans: named_plans(table, servers),
        max_call: seconds(table, "max_call_s", 30..=14_400, 1800),
        wish: defaults(&mut table.table("defaults")),
        ice: ice_servers(table, around),
    };
    table.finish();
    call
}

/// `[call.defaults]`: the `callDefaults` of Kandy.js.
fn defaults(table: &mut Table<'_, '_>) -> Wish {
    let wish = Wish {
        audio: flag(table, "audio", true),
        receive_video: flag(table, "video", false),
        send_video: flag(table, "send_initial_video", true),
    };
    table.finish();
    wish
}

fn camera(table: &mut Table<'_, '_>, directory: &Path) -> Camera {
    let source = table.text("source").and_then(|written| {
        let source = camera_source(&written.value, directory);
        if source.is_none() {
            let what = format!(
                "'{}' is not a camera: auto, test, libcamera, libcamera:ID, v4l2:/dev/video0 or \
                 file:PATH",
                short(&written.value)
            );
            let help = nearest(&written.value, ["auto", "test", "libcamera"]).map(meant);
            table.note_with(&written, what, help);
        }
        source
    });
    let camera = Camera {
        source: source.unwrap_or(CameraSource::Auto),
        width: even(table, "width", 160..=1920, 1280),
        height: even(table, "height", 120..=1080, 720),
        frames_per_s: number(table, "frames_per_s", 5..=60, " pictures a second", 30),
        bit_rate: 1000 * number(table, "bit_rate_kbps", 100..=8000, " kbit/s", 1500),
        visitors_kept: number(table, "visitors_kept", 0..=1000, " pictures", 20) as usize,
    };
    table.finish();
    camera
}

fn camera_source(written: &str, directory: &Path) -> Option<CameraSource> {
    match written.split_once(':') {
        None if written == "auto" => Some(CameraSource::Auto),
        None if written == "test" => Some(CameraSource::Test),
        None if written == "libcamera" => Some(CameraSource::Libcamera(String::new())),
        Some(("libcamera", id)) if !id.is_empty() && !id.contains(char::is_control) => {
            Some(CameraSource::Libcamera(id.to_owned()))
        }
        Some(("v4l2", device)) if device.starts_with('/') => {
            Some(CameraSource::V4l2(PathBuf::from(device)))
        }
        Some(("file", file)) if !file.is_empty() => Some(CameraSource::File(directory.join(file))),
        _ => None,
    }
}

fn sound(table: &mut Table<'_, '_>) -> Sound {
    let sound = Sound {
        capture: alsa_name(table, "capture"),
        playback: alsa_name(table, "playback"),
        echo_control: flag(table, "echo_control", true),
        noise_suppression: flag(table, "noise_suppression", true),
        automatic_gain: flag(table, "automatic_gain", true),
        short_packets: flag(table, "short_packets", true),
        dtx: flag(table, "dtx", false),
        tone_volume: number(table, "tone_volume", 0..=100, " per cent", 100) as u8,
    };
    table.finish();
    sound
}

/// ALSA's name of a device; the word `none` and a key that is left out mean that
/// there is no such device.
fn alsa_name(table: &mut Table<'_, '_>, key: &'static str) -> Option<String> {
    let otherwise = "must be ALSA's name of a device, such as \"plughw:CARD=Device\", or \"none\"";
    let name = table.line(key, 128, otherwise)?;
    (name.value != "none").then_some(name.value)
}

fn log(table: &mut Table<'_, '_>) -> Log {
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    let level = table.choice("level", &levels);
    table.finish();
    Log {
        level: level.map_or("info", |at| at.value),
    }
}

/// What people call something: 1 to 64 characters, no control characters.
pub(super) fn name(table: &mut Table<'_, '_>, key: &'static str) -> Option<String> {
    let name = table.line(key, 64, "must be 1 to 64 characters on one line");
    name.map(|name| name.value)
}

/// A duration in whole seconds.
pub(super) fn seconds(
    table: &mut Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> Duration {
    Duration::from_secs(number(table, key, range, " seconds", default).into())
}

pub(super) fn flag(table: &mut Table<'_, '_>, key: &'static str, default: bool) -> bool {
    table.boolean(key).map_or(default, |at| at.value)
}

/// A path; a relative one starts at the file's own directory.
pub(super) fn path(
    table: &mut Table<'_, '_>,
    key: &'static str,
    around: &Surroundings,
) -> Option<At<PathBuf>> {
    let written = table.text(key)?;
    if written.value.is_empty() || written.value.contains('\0') {
        table.note(&written, "must be a path");
        return None;
    }
    Some(written.map(|path| around.directory.join(path)))
}

fn number(
    table: &mut Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u32>,
    unit: &str,
    default: u32,
) -> u32 {
    table
        .number(key, range, unit)
        .map_or(default, |at| at.value)
}

/// Pixels: codecs halve both sides for colour.
fn even(
    table: &mut Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> u32 {
    let pixels = table.even_number(key, range, " pixels");
    pixels.map_or(default, |at| at.value)
}
