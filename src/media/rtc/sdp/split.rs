//! From the far end's description to a session's.

use super::{Description, Direction, SdpError, Section};

/// Payload type of telephone events of 8 kHz, as Chromium numbers them.
const NARROW_EVENTS: u8 = 126;

/// What kind of description it is for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The far end offers.
    Offer,
    /// The far end answers our offer.
    Answer,
}

/// Header extensions that name streams by m-line: the sessions do not know the
/// wire's mids, so nobody shall stamp packets with them.
pub(crate) fn is_sdes_extension(line: &str) -> bool {
    line.starts_with("a=extmap:") && line.contains("urn:ietf:params:rtp-hdrext:sdes:")
}

/// The description of m-line `index` alone, for a session that calls its m-line
/// `mid`.
///
/// * A BUNDLE group of that one mid is written: without it the session answers
///   with port 0.
/// * An offer of an m-line on which the far end does not receive is shown as
///   `sendrecv`: on `inactive` the session would stop its transceiver for good and
///   skip the candidates, and on a first `sendonly` it would make a second one
///   beside ours. What is answered is set at the session, not here.
/// * Candidates that cannot be used are left out: TCP, component 2 (RTCP is
///   multiplexed), mDNS names (those peers are found by their own checks).
///
/// `index` must be one of `description`'s.
pub(crate) fn session_text(
    description: &Description,
    index: usize,
    mid: &str,
    kind: Kind,
) -> String {
    let mut section = description.sections[index].clone();
    section.retain(|line| {
        !is_sdes_extension(line) && (!line.starts_with("a=candidate:") || is_usable_candidate(line))
    });
    if kind == Kind::Offer {
        keep_one_sound(&mut section);
    }
    section.set_attribute("mid", mid);
    let direction = description.direction(&section);
    let shown = match kind {
        Kind::Offer if !direction.receives() => Direction::SendRecv,
        Kind::Offer | Kind::Answer => direction,
    };
    section.set_direction(shown);

    let mut text = String::with_capacity(4096);
    for line in description.session.iter() {
        let replaced = line.starts_with("a=group:")
            || Direction::ALL
                .into_iter()
                .any(|d| line.strip_prefix("a=") == Some(d.name()));
        if !replaced {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    text.push_str(&format!("a=group:BUNDLE {mid}\r\n"));
    section.write(&mut text);
    text
}

/// Of sound the session sees the best codec that both have, and the telephone events
/// that share its clock: it tells those of two clocks not apart, and what it sees it
/// takes.
fn keep_one_sound(section: &mut Section) {
    if section.media() != "audio" {
        return;
    }
    let opus = section.payload_type("opus").is_some();
    let (clock, other) = if opus {
        (48_000, "PCMU")
    } else {
        (8_000, "opus")
    };
    let events = section.payload_types("telephone-event");
    let unwanted: Vec<u8> = events
        .filter_map(|(number, its)| (its != clock).then_some(number))
        .chain(section.payload_types(other).map(|(number, _)| number))
        .collect();
    section.remove_formats(&unwanted);
}

/// The session calls all telephone events those of 48 kHz. Without Opus they are of
/// 8 kHz, as the sound is; where both are offered there are those as well.
///
/// # Errors
///
/// When the session's description cannot be read: a fault of ours.
pub(crate) fn event_clocks(session: String) -> Result<String, SdpError> {
    let mut description = Description::parse(&session)?;
    let Some(section) = description.sections.first_mut() else {
        return Ok(session);
    };
    if section.payload_type("PCMU").is_none() {
        return Ok(session);
    }
    if section.payload_type("opus").is_none() {
        return Ok(session.replace("telephone-event/48000", "telephone-event/8000"));
    }
    section.add_format(NARROW_EVENTS, "telephone-event/8000");
    let mut text = String::with_capacity(session.len() + 64);
    for line in &description.session {
        text.push_str(line);
        text.push_str("\r\n");
    }
    for section in &description.sections {
        section.write(&mut text);
    }
    Ok(text)
}

/// `a=candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ ...`
fn is_usable_candidate(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip(1);
    let component = words.next();
    let transport = words.next();
    let address = words.nth(1);
    component == Some("1")
        && transport.is_some_and(|t| t.eq_ignore_ascii_case("udp"))
        && address.is_some_and(|a| !a.ends_with(".local"))
}
