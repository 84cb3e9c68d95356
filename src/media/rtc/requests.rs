//! Lets the far end's requests for a key frame through to the sender.

use rtc::interceptor::{Attribute, Packet, Slot, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;

use super::tap::Look;

/// Marks PLI (RFC 4585, section 6.3.1) and FIR (RFC 5104, section 4.3.1) for the
/// application, and drops all other RTCP: every other interceptor has seen it.
pub(crate) struct KeyFrameRequests;

impl KeyFrameRequests {
    /// The end of the way in: behind every interceptor that acts on RTCP.
    pub(crate) const SLOT: Slot = Slot::Custom(14_000);
}

impl Look for KeyFrameRequests {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(parts) = &mut packet.message.packet {
            parts.retain(|part| is_request(part.as_ref()));
            if parts.is_empty() {
                return false;
            }
            packet.message.add(Attribute::DeliverToApplication);
        }
        true
    }

    fn outgoing(&mut self, _: &mut TaggedPacket) -> usize {
        1
    }
}

fn is_request(part: &dyn rtc::rtcp::Packet) -> bool {
    let part = part.as_any();
    part.is::<PictureLossIndication>() || part.is::<FullIntraRequest>()
}
