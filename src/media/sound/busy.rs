//! Who uses a card that is in use, as far as the kernel tells: each PCM of a card
//! has a file `/proc/asound/CARD/pcmDEVICE{p|c}/subN/status`, which names the
//! thread that opened it.
//!
//! The service sees nothing of this, because its unit keeps `/proc` shut; a person
//! who runs the demo or `doorstation run` by hand does.

use std::path::Path;

use alsa::Direction;

/// Where the kernel tells of processes and cards.
pub(super) const PROC: &str = "/proc";
/// The most of a process's name that is told: the kernel's own limit.
const NAME: usize = 15;

/// Why the PCM `name` cannot be opened, and what to do.
pub(super) fn reason(proc: &Path, name: &str, direction: Direction) -> String {
    match holder(proc, name, direction) {
        Some((id, who)) => {
            format!("it is in use by {who} (process {id}); end that, or name another card")
        }
        None => "it is in use by another program, and `fuser -v /dev/snd/*` tells which; end \
                 that, or name another card"
            .to_owned(),
    }
}

/// The process that has the PCM `name` open, and how it is called.
fn holder(proc: &Path, name: &str, direction: Direction) -> Option<(u32, String)> {
    let (card, device) = place(name)?;
    let letter = match direction {
        Direction::Playback => 'p',
        Direction::Capture => 'c',
    };
    let pcm = proc.join(format!("asound/{card}/pcm{device}{letter}"));
    let parts = std::fs::read_dir(pcm).ok()?;
    let id = parts.flatten().find_map(|part| {
        let status = std::fs::read_to_string(part.path().join("status")).ok()?;
        owner(&status)
    })?;
    let who = std::fs::read_to_string(proc.join(format!("{id}/comm"))).ok()?;
    let who = who.trim_end().chars().filter(|c| !c.is_control());
    Some((id, who.take(NAME).collect()))
}

/// The kernel's directory of the card, and the device, in a name like `hw:1,0` or
/// `plughw:CARD=Door,DEV=0`; other names say nothing of a card.
fn place(name: &str) -> Option<(String, u32)> {
    let (kind, arguments) = name.split_once(':')?;
    if !matches!(kind, "hw" | "plughw") {
        return None;
    }
    let mut arguments = arguments.split(',');
    let card = arguments.next()?;
    let card = card.strip_prefix("CARD=").unwrap_or(card);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if card.is_empty() || !card.chars().all(plain) {
        return None;
    }
    let device = match arguments.next() {
        Some(device) => device.strip_prefix("DEV=").unwrap_or(device).parse().ok()?,
        None => 0,
    };
    let directory = match card.parse::<u32>() {
        Ok(number) => format!("card{number}"),
        // The kernel has a link by the card's id as well.
        Err(_) => card.to_owned(),
    };
    Some((directory, device))
}

/// The number after `owner_pid` in a status; a PCM that nobody has says `closed`.
fn owner(status: &str) -> Option<u32> {
    status.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "owner_pid").then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the layout of Linux (`sound/core/pcm.c`).
    const STATUS: &str = "state: RUNNING\nowner_pid   : 4711\ntrigger_time: 1234.567890\n\
                          tstamp      : 0.000000000\ndelay       : 480\n";

    #[test]
    fn a_card_in_use_names_who_has_it() {
        let proc = tempfile::tempdir().expect("a directory");
        for card in ["card1", "Door"] {
            let part = proc.path().join("asound").join(card).join("pcm0p");
            for (sub, status) in [("sub0", "closed\n"), ("sub1", STATUS)] {
                let sub = part.join(sub);
                std::fs::create_dir_all(&sub).expect("a directory");
                std::fs::write(sub.join("status"), status).expect("a file");
            }
        }
        std::fs::create_dir(proc.path().join("4711")).expect("a directory");
        std::fs::write(proc.path().join("4711/comm"), "aplay\n").expect("a file");
        let said = |name, direction| reason(proc.path(), name, direction);
        for name in ["hw:1,0", "plughw:1", "plughw:CARD=Door,DEV=0", "hw:Door"] {
            let said = said(name, Direction::Playback);
            assert!(
                said.contains("in use by aplay (process 4711)"),
                "{name}: {said}"
            );
        }
        for (name, direction) in [
            ("hw:1,0", Direction::Capture),
            ("hw:1,1", Direction::Playback),
            ("hw:2", Direction::Playback),
            ("default", Direction::Playback),
            ("hw:../../etc", Direction::Playback),
        ] {
            let said = said(name, direction);
            assert!(said.contains("another program"), "{name}: {said}");
        }
    }

    #[test]
    fn a_status_of_any_text_is_read_without_a_panic() {
        assert_eq!(owner(STATUS), Some(4711));
        for text in [
            "",
            "closed\n",
            "owner_pid",
            "owner_pid: x",
            "owner_pid : -1",
        ] {
            assert_eq!(owner(text), None, "{text}");
        }
    }
}
