//! From the sessions' descriptions to ours.

use super::split::is_sdes_extension;
use super::{Description, Direction, SdpError, Section};

/// What the wire shows of one live m-line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// The m-line's name on the wire.
    pub(crate) mid: &'a str,
    /// Which way media flow.
    pub(crate) direction: Direction,
    /// The DTLS role to write, where an earlier exchange has settled it.
    pub(crate) setup: Option<&'a str>,
    /// Write the decoy of [`DECOY`].
    pub(crate) decoy: bool,
}

/// Kandy.js 3.x rewrites the first text `a=sendonly` of an answer's video
/// section to `a=sendrecv`, which a browser that offered `recvonly` refuses. It
/// finds this one first; browsers ignore attributes that they do not know.
const DECOY: &str = "a=x-direction:a=sendonly";

/// The m-line of a session's own description, as the wire shall show it.
///
/// # Errors
///
/// When the session's description cannot be read: a fault of ours.
pub(crate) fn section_of(session: &str, shown: Shown<'_>) -> Result<Section, SdpError> {
    let description = Description::parse(session)?;
    let mut section = description.sections[0].clone();
    section.retain(|line| !is_sdes_extension(line) && !is_rtcp_candidate(line));
    section.set_attribute("mid", shown.mid);
    section.set_direction(shown.direction);
    section.remove_repeated_formats();
    if let Some(setup) = shown.setup {
        section.set_attribute("setup", setup);
    }
    if !section.has_flag("rtcp-mux") {
        section.push("a=rtcp-mux".to_owned());
    }
    // 3.x overlooks a hold on an m-line with port 9, and sees one in any m-line
    // at 0.0.0.0 (protocol section 7.5); the session writes both.
    if let Some((address, port)) = default_candidate(&section) {
        section.set_port(port);
        section.set_connection(&format!("IN IP4 {address}"));
    }
    if shown.decoy && shown.direction == Direction::SendOnly {
        let after_connection = section
            .lines()
            .iter()
            .position(|l| l.starts_with("c="))
            .map_or(0, |place| place + 1);
        section.insert(after_connection, DECOY.to_owned());
    }
    Ok(section)
}

/// A complete section that rejects what the far end offered (protocol section
/// 7.2): port 0, yet with ICE, fingerprint and role of `transport`, because
/// 3.x makes it port 1 before it shows it to the browser.
pub(crate) fn rejection(offered: &Section, mid: &str, transport: Option<&Section>) -> Section {
    let mut section = offered.clone();
    section.set_port(0);
    section.retain(|line| {
        ["a=rtpmap:", "a=fmtp:", "a=sctp-port:"]
            .iter()
            .any(|kept| line.starts_with(kept))
    });
    section.set_connection("IN IP4 0.0.0.0");
    for name in ["ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
        if let Some(value) = transport.and_then(|t| t.attribute(name)) {
            section.set_attribute(name, value);
        }
    }
    section.set_attribute("mid", mid);
    section.push("a=inactive".to_owned());
    if offered.media() != "application" {
        section.push("a=rtcp-mux".to_owned());
    }
    section
}

/// One description of all sections, under our own `o=` line.
///
/// `id` stays for the life of the leg, `version` grows by one with each
/// description that is sent (RFC 8866, section 5.2). `group` names mids that
/// share one transport; empty for none.
pub(crate) fn join(id: u64, version: u64, group: &[&str], sections: &[Section]) -> String {
    let mut text = String::with_capacity(4096);
    text.push_str(&format!("v=0\r\no=- {id} {version} IN IP4 127.0.0.1\r\n"));
    text.push_str("s=-\r\nt=0 0\r\na=msid-semantic: WMS *\r\n");
    if !group.is_empty() {
        text.push_str(&format!("a=group:BUNDLE {}\r\n", group.join(" ")));
    }
    for section in sections {
        section.write(&mut text);
    }
    text
}

fn is_rtcp_candidate(line: &str) -> bool {
    line.starts_with("a=candidate:") && line.split_ascii_whitespace().nth(1) == Some("2")
}

/// Address and port of the first IPv4 UDP candidate.
fn default_candidate(section: &Section) -> Option<(String, u16)> {
    section.lines().iter().find_map(|line| {
        let words: Vec<&str> = line
            .strip_prefix("a=candidate:")?
            .split_ascii_whitespace()
            .collect();
        let [_, "1", transport, _, address, port, ..] = words[..] else {
            return None;
        };
        let address: std::net::Ipv4Addr = address.parse().ok()?;
        transport
            .eq_ignore_ascii_case("udp")
            .then_some(())
            .and_then(|()| Some((address.to_string(), port.parse().ok()?)))
    })
}
