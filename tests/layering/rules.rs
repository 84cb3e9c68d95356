//! Who may know whom.

use crate::scan::{Named, Source};

/// What each top module may know of the crate besides itself. A deeper name, such
/// as `media::Tone`, allows that one thing.
const LAYERS: &[(&str, &[&str])] = &[
    // The pure core knows std and itself.
    ("call", &[]),
    // What everybody may stand on.
    ("clock", &[]),
    // Wires as data: names of sensors are the core's.
    ("board", &["call"]),
    ("secret", &[]),
    // Who is at the other end of a Unix socket: for the guardian's and the control socket.
    ("peer", &[]),
    // The visitors' pictures on the disk: the composition root fills it, the gateway shows
    // it, and neither has to know the other.
    ("album", &[]),
    // Memory and disk, for status and metrics.
    ("usage", &[]),
    ("pulse", &["clock"]),
    ("tasks", &["pulse"]),
    ("ice", &["clock", "secret"]),
    // Messages: shapes only.
    ("wire", &["secret"]),
    // Adapters: the core's types and the ground, never each other.
    (
        "signalling",
        &["call", "clock", "ice", "secret", "tasks", "wire"],
    ),
    ("media", &["call", "clock", "ice", "pulse", "tasks"]),
    // The panel maps views to the names of tones, and tells its lights to the report.
    (
        "panel",
        &["board", "call", "clock", "tasks", "media::Tone", "report"],
    ),
    // The report names tones.
    (
        "report",
        &["call", "clock", "secret", "tasks", "media::Tone"],
    ),
    // The relay guardian, and the station's client of it.
    (
        "door",
        &[
            "call",
            "clock",
            "peer",
            "service",
            "tasks",
            "telemetry::kind",
        ],
    ),
    // A server of its own: it does not know the station's core.
    (
        "gateway",
        &[
            "album",
            "clock",
            "secret",
            "tasks",
            "telemetry::kind",
            "wire",
        ],
    ),
    // What buttons do and how signs look is the panel's to say; it has no I/O there.
    (
        "config",
        &[
            "board",
            "call",
            "ice",
            "panel::action",
            "panel::light_pattern",
            "panel::look",
            "panel::settings",
            "panel::sign",
            "secret",
        ],
    ),
    // What was told, counted.
    ("ledger", &["call"]),
    // An application of the station, as `client` is: it asks the loop. What a button does
    // is the panel's to say; lines and words are the report's.
    (
        "control",
        &[
            "call",
            "clock",
            "ledger",
            "panel::action",
            "peer",
            "report",
            "station",
            "tasks",
            "telemetry",
            "usage",
        ],
    ),
    // The report names devices.
    (
        "metrics",
        &["call", "clock", "ledger", "report", "tasks", "usage"],
    ),
    // The level goes back by itself; what floods the log is counted by the minute.
    ("telemetry", &["clock", "tasks"]),
    // Whoever tells what a person may have to act on names its kind.
    ("story", &["call", "telemetry::kind"]),
    (
        "supervisor",
        &["clock", "pulse", "tasks", "telemetry::kind"],
    ),
    ("service", &["tasks"]),
    // Where adapters meet.
    (
        "station",
        &[
            "call",
            "clock",
            "media",
            "panel",
            "signalling",
            "story",
            "tasks",
        ],
    ),
    // Calls without a station around them.
    (
        "client",
        &["call", "ice", "media", "signalling", "station", "tasks"],
    ),
    // The composition root, its plans, and the command.
    (
        "app",
        &[
            "album",
            "call",
            "clock",
            "config",
            "control",
            "door",
            "gateway",
            "ice",
            "ledger",
            "media",
            "metrics",
            "panel",
            "report",
            "secret",
            "service",
            "signalling",
            "station",
            "story",
            "supervisor",
            "tasks",
            "telemetry",
        ],
    ),
    (
        "demo",
        &[
            "app",
            "call",
            "clock",
            "door",
            "gateway",
            "ice",
            "media",
            "panel",
            "report",
            "secret",
            "service",
            "signalling",
            "station",
            "tasks",
            "telemetry",
        ],
    ),
    (
        "run",
        &[
            "app",
            "board",
            "call",
            "clock",
            "config",
            "door",
            "gateway",
            "ice",
            "media",
            "panel",
            "report",
            "secret",
            "service",
            "signalling",
            "station",
            "tasks",
            "telemetry",
        ],
    ),
    // It tries the parts that the station is made of.
    (
        "doctor",
        &[
            "call",
            "clock",
            "config",
            "control",
            // It lets the relay click when it is asked to.
            "door::operator",
            "gateway",
            "ice",
            "media",
            "panel",
            "run",
            "signalling",
            "tasks",
            "usage",
        ],
    ),
    ("hands_on", &["config", "panel", "service", "tasks"]),
    // It puts the package's configuration back.
    ("reset", &["config"]),
    // Whether a version is good is tried by a call, as a person indoors makes it; the
    // station is asked as an operator asks it.
    (
        "update",
        &[
            "call",
            "client",
            "config",
            "control",
            "gateway",
            "secret",
            "signalling",
            "usage",
        ],
    ),
    (
        "cli",
        &[
            "board",
            "clock",
            "config",
            "control",
            "demo",
            "doctor",
            "door",
            "hands_on",
            // Who may.
            "peer",
            "report",
            "reset",
            "run",
            "telemetry",
            "update",
        ],
    ),
    ("main", &["cli"]),
    // The relay guardian's command.
    ("bin", &["door", "tasks", "telemetry"]),
    // The crate's front page names everything.
    ("", &[]),
];

/// The only modules in which a foreign crate may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("webrtc", &["media::rtc"]),
    ("rtc", &["media::rtc"]),
    // The doctor asks the servers, and no session.
    ("rtc_turn", &["doctor::ice"]),
    ("rtc_shared", &["doctor::ice"]),
    ("sansio", &["doctor::ice"]),
    ("gstreamer", &["media::gst"]),
    ("gstreamer_app", &["media::gst"]),
    ("gstreamer_video", &["media::gst"]),
    ("alsa", &["media::sound"]),
    ("opus", &["media::sound"]),
    ("thread_priority", &["media::sound::priority"]),
    ("sonora", &["media::sound::echo"]),
    ("hound", &["media::sound"]),
    ("axum", &["gateway"]),
    ("hyper", &["gateway", "metrics"]),
    ("hyper_util", &["gateway", "metrics"]),
    ("tower", &["gateway"]),
    ("rcgen", &["gateway"]),
    ("tokio_rustls", &["gateway"]),
    ("argon2", &["gateway", "config"]),
    ("reqwest", &["signalling::kandy", "update::fetch"]),
    ("semver", &["update"]),
    ("tokio_tungstenite", &["signalling::kandy"]),
    ("tracing_subscriber", &["telemetry"]),
    ("tracing_journald", &["telemetry"]),
    ("sd_notify", &["service"]),
    ("gpiocdev", &["door", "panel::cdev"]),
    ("rppal", &["panel::rppal"]),
    // What the time of day is where the station stands.
    ("jiff", &["cli", "clock"]),
    ("toml", &["config"]),
    ("strsim", &["config"]),
    // Errors with a context are for people at the top; below, errors have types.
    ("anyhow", &["app", "bin", "cli", "demo", "hands_on", "run"]),
    // The log's format is chosen on the command line.
    ("clap", &["bin", "cli", "demo", "telemetry"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    (
        "rustix",
        &[
            "clock", "config", "door", "media", "panel", "peer", "report", "update", "usage",
        ],
    ),
    ("time", &["cli", "control", "demo", "gateway", "report"]),
];

/// Parts of the crate with fewer readers than their top module has.
const INNER: [(&str, &[&str]); 1] = [("wire", &["wire", "gateway", "signalling::kandy"])];

/// Where programs may be told what to do by their environment, and print.
const READS_ENVIRONMENT: [&str; 4] = ["cli", "config", "demo", "telemetry"];
const PRINTS: [&str; 3] = ["bin", "cli", "report"];

/// What the core must not touch of std: I/O, threads, the clock.
const NOT_IN_CALL: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::sync::mpsc",
    "std::thread",
    "std::time::SystemTime",
];

const LONGEST_FILE: usize = 500;

/// Every break of a rule, as a sentence with its place.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let module = source.module.join("::");
        let mut fault = |line: usize, what: String| {
            faults.push(format!("{}:{line}: {what}", source.file));
        };
        if source.lines > LONGEST_FILE {
            fault(
                source.lines,
                format!("is longer than {LONGEST_FILE} lines: make two of it"),
            );
        }
        for (line, name) in &source.macros {
            let prints = ["print", "println", "eprint", "eprintln"].contains(&name.as_str());
            if prints && !is_in(&module, &PRINTS) {
                fault(
                    *line,
                    format!(
                        "{name}! is for {}: log, or tell the report",
                        PRINTS.join(", ")
                    ),
                );
            }
        }
        for named in &source.paths {
            if let Some(what) = wrong(sources, source, &module, named) {
                fault(named.line, what);
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

fn wrong(all: &[Source], source: &Source, module: &str, named: &Named) -> Option<String> {
    let path = named.path.join("::");
    if let Some(inner) = path.strip_prefix("crate::") {
        return wrong_module(source, module, inner);
    }
    let head = named.path.first()?.as_str();
    if ["env::var", "env::var_os", "env::vars", "env::vars_os"]
        .iter()
        .any(|f| ends_with(&path, f))
        && !is_in(module, &READS_ENVIRONMENT)
    {
        return Some(format!(
            "{path}: the environment is read by {}",
            READS_ENVIRONMENT.join(", ")
        ));
    }
    if module == "call" || module.starts_with("call::") {
        return wrong_in_call(all, named, head, &path);
    }
    let (_, homes) = HOMES.iter().find(|(name, _)| *name == head)?;
    // `rtc::x` may be our own module `media::rtc`, and `rppal::x` `panel::rppal`; an
    // import says which.
    let foreign = named.imported || !["rtc", "rppal"].contains(&head);
    (foreign && !is_in(module, homes))
        .then(|| format!("{path}: {head} is for {}", homes.join(", ")))
}

fn wrong_module(source: &Source, module: &str, inner: &str) -> Option<String> {
    let here = source.module.first().map_or("", String::as_str);
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == here) else {
        return Some(format!(
            "the module '{here}' has no place in the table of layers"
        ));
    };
    let there = inner.split("::").next()?;
    let (_, readers) = INNER
        .iter()
        .find(|(name, _)| *name == there)
        .unwrap_or(&("", &[]));
    if !readers.is_empty() && !here.is_empty() && !is_in(module, readers) {
        return Some(format!(
            "crate::{inner}: {there} is for {}",
            readers.join(", ")
        ));
    }
    // A name that is no module of the table is a macro or an item of the root.
    let known = LAYERS.iter().any(|(name, _)| *name == there);
    if !known || here == there || here.is_empty() || is_in(inner, allowed) {
        return None;
    }
    Some(format!("crate::{inner}: {here} must not know {there}"))
}

fn wrong_in_call(all: &[Source], named: &Named, head: &str, path: &str) -> Option<String> {
    if is_in(path, &NOT_IN_CALL) {
        return Some(format!(
            "{path}: the core has no I/O, no threads and no clock"
        ));
    }
    // `use State::*` names an item in sight, `use timer::Timer` a module beside.
    let is_item = head.starts_with(char::is_uppercase);
    let is_beside = all.iter().any(|source| source.module == ["call", head]);
    let foreign = named.imported && !["std", "core", "alloc"].contains(&head);
    (foreign && !is_item && !is_beside).then(|| format!("{path}: call knows std and itself only"))
}

/// Whether `path` is one of `places` or within one.
fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        let rest = path.strip_prefix(place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn ends_with(path: &str, end: &str) -> bool {
    path == end || path.ends_with(&format!("::{end}"))
}

#[cfg(test)]
mod tests;
