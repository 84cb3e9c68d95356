//! The media seam: picture and sound of a leg.
//!
//! The engine captures once, encodes once and fans out to every leg. It takes
//! [`Order`]s and sends [`Input::Media`](crate::call::Input::Media) and
//! [`Input::Device`](crate::call::Input::Device) to the station's inbox.

mod budget;
mod device;
pub mod engine;
pub mod feed;
pub mod gst;
mod rtc;
mod series;
pub mod sim;
pub mod sound;
mod worker;

use crate::call::{LegId, MediaOrder};

/// What the station wants of the media engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// For one leg.
    Leg(LegId, MediaOrder),
    /// Play this at the door's speaker until told otherwise; `None` is silence.
    Tone(Option<Tone>),
}

/// What the door's speaker can play by itself (sounds as in `docs/look.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// E5 then C5, once: the visitor's press was heard; then ring-back follows.
    Chime,
    /// 425 Hz, 1 s on, 4 s off.
    RingBack,
    /// 425 Hz, 0.5 s on, 0.5 s off, for 3 s.
    Busy,
    /// A short rising pair, once: you can talk now.
    Talk,
    /// A falling third, over and over: the door is released.
    Open,
    /// A low pair, once: no connection, or a fault.
    Fault,
    /// A soft falling pair, once: the call is over.
    Ended,
}

/// The video codecs that we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoCodec {
    /// RFC 7741: the one that every Kandy.js takes.
    Vp8,
    /// RFC 6184, constrained baseline, packetization mode 1.
    H264,
}
