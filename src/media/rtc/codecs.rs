//! What a session can send and receive, and the interceptors it runs.

use std::sync::Arc;

use rtc::interceptor::{
    NackGeneratorBuilder, NackResponderBuilder, ReceiverReportBuilder, Registry,
    SenderReportBuilder, Slot, TwccReceiverBuilder, TwccSenderBuilder,
};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_PCMU, MIME_TYPE_TELEPHONE_EVENT, MIME_TYPE_VP8,
    MediaEngine,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters,
    RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};

use super::figures::Counters;
use super::limiter::RetransmissionLimiter;
use super::path::{Survey, Surveyor};
use super::reports::Reports;
use super::requests::KeyFrameRequests;
use super::sdp::Description;
use super::tap::Tap;
use crate::media::VideoCodec;
use crate::media::feed::SoundCodec;

/// RTP clock of sound, Hz: that of Opus (RFC 7587). PCMU has another.
pub(crate) const SOUND_CLOCK: u32 = 48_000;
/// RTP clock of every video codec, Hz.
pub(crate) const VIDEO_CLOCK: u32 = 90_000;

/// The header extension of transport-wide packet numbers
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01).
const TRANSPORT_NUMBERS: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The header extension by which a sender says how long pictures may wait before they
/// are shown (webrtc.googlesource.com/src, docs/native-code/rtp-hdrext/playout-delay).
pub(crate) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// How many sent packets are kept for re-sending. At 1.5 Mb/s this is 0.8 s:
/// what is asked for later comes too late.
const RESEND_BUFFER: u16 = 128;

/// How often we ask again for one lost packet of the far end's picture, which
/// nobody looks at.
const MAX_NACKS: u16 = 5;

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Medium {
    /// Opus, PCMU and telephone events.
    Audio,
    /// VP8 and H264.
    Video,
}

impl Medium {
    /// By the first word of an m-line.
    pub(crate) fn of(media: &str) -> Option<Self> {
        match media {
            "audio" => Some(Self::Audio),
            "video" => Some(Self::Video),
            _ => None,
        }
    }

    /// For logs and track names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    /// RTP clock, Hz.
    pub(crate) fn clock(self) -> u32 {
        match self {
            Self::Audio => SOUND_CLOCK,
            Self::Video => VIDEO_CLOCK,
        }
    }

    pub(crate) fn kind(self) -> RtpCodecKind {
        match self {
            Self::Audio => RtpCodecKind::Audio,
            Self::Video => RtpCodecKind::Video,
        }
    }
}

/// The codecs of a session, best first. Payload types are those that Chromium
/// uses, distinct across media.
pub(crate) fn codecs(medium: Medium, pictures: &[VideoCodec]) -> Vec<RTCRtpCodecParameters> {
    match medium {
        Medium::Audio => vec![
            codec(
                MIME_TYPE_OPUS,
                (SOUND_CLOCK, 2),
                "minptime=10;useinbandfec=1",
                111,
            ),
            codec(MIME_TYPE_PCMU, (8_000, 0), "", 0),
            // Those of 8 kHz are put in by `event_clocks`.
            codec(MIME_TYPE_TELEPHONE_EVENT, (SOUND_CLOCK, 1), "0-15", 110),
        ],
        Medium::Video => pictures.iter().copied().map(picture).collect(),
    }
}

fn picture(codec_kind: VideoCodec) -> RTCRtpCodecParameters {
    let mut parameters = match codec_kind {
        VideoCodec::Vp8 => codec(MIME_TYPE_VP8, (VIDEO_CLOCK, 0), "", 96),
        // Constrained baseline, level 3.1: the only profile that 3.x leaves alone
        // (protocol section 7.9).
        VideoCodec::H264 => codec(
            MIME_TYPE_H264,
            (VIDEO_CLOCK, 0),
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            102,
        ),
    };
    parameters.rtp_codec.rtcp_feedback = [
        ("nack", ""),
        ("nack", "pli"),
        ("ccm", "fir"),
        ("transport-cc", ""),
    ]
    .into_iter()
    .map(|(typ, parameter)| RTCPFeedback {
        typ: typ.to_owned(),
        parameter: parameter.to_owned(),
    })
    .collect();
    parameters
}

fn codec(
    mime_type: &str,
    (clock_rate, channels): (u32, u16),
    fmtp: &str,
    payload_type: u8,
) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime_type.to_owned(),
            clock_rate,
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: Vec::new(),
        },
        payload_type,
    }
}

/// The name of a sound's codec in `a=rtpmap`.
pub(crate) fn sound_name(codec: SoundCodec) -> &'static str {
    match codec {
        SoundCodec::Opus => "opus",
        SoundCodec::Pcmu => "PCMU",
    }
}

/// What sound an answer takes, under which payload types, best first.
pub(crate) fn sounds(answer: &Description) -> [Option<(u8, SoundCodec)>; 2] {
    let numbered = |name| answer.sections().iter().find_map(|s| s.payload_type(name));
    let mut sounds = SoundCodec::ALL
        .into_iter()
        .filter_map(|codec| Some((numbered(sound_name(codec))?, codec)));
    [sounds.next(), sounds.next()]
}

/// The name of a codec in `a=rtpmap`.
pub(crate) fn name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Vp8 => "VP8",
        VideoCodec::H264 => "H264",
    }
}

/// A media engine and an interceptor chain for one session.
///
/// # Errors
///
/// When two codecs have one payload type: a fault of ours.
pub(crate) fn engine(
    medium: Medium,
    codecs: &[RTCRtpCodecParameters],
    counters: &Arc<Counters>,
    surveyor: &Arc<Surveyor>,
) -> Result<(MediaEngine, Registry), webrtc::error::Error> {
    let mut engine = MediaEngine::default();
    for parameters in codecs {
        engine.register_codec(parameters.clone(), medium.kind())?;
    }
    let reports = Registry::new()
        .with(Reports::SLOT, Tap::new(Reports::new(Arc::clone(counters))))
        .with(Survey::SLOT, Tap::new(Survey(Arc::clone(surveyor))))
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build());
    if medium == Medium::Video {
        // Numbers packets over all streams of a transport, for the far end's
        // reports of when each arrived. Sound is too little to be told about.
        for uri in [TRANSPORT_NUMBERS, PLAYOUT_DELAY] {
            let extension = RTCRtpHeaderExtensionCapability {
                uri: uri.to_owned(),
            };
            engine.register_header_extension(extension, RtpCodecKind::Video, None)?;
        }
    }
    let registry = match medium {
        // Lost sound is concealed, not repeated: it would come too late.
        Medium::Audio => reports,
        Medium::Video => reports
            .with(
                RetransmissionLimiter::SLOT,
                Tap::new(RetransmissionLimiter::new(
                    Arc::clone(counters),
                    surveyor.path(),
                )),
            )
            .with(Slot::TwccSender, TwccSenderBuilder::new().build())
            .with(Slot::TwccReceiver, TwccReceiverBuilder::new().build())
            .with(
                Slot::NackResponder,
                NackResponderBuilder::new().with_size(RESEND_BUFFER).build(),
            )
            .with(
                Slot::NackGenerator,
                NackGeneratorBuilder::new()
                    .with_max_nacks_per_packet(MAX_NACKS)
                    .build(),
            )
            .with(KeyFrameRequests::SLOT, Tap::new(KeyFrameRequests)),
    };
    Ok((engine, registry))
}

/// A track to send with, and its SSRC.
pub(crate) fn local_track(
    medium: Medium,
    stream: &str,
    codecs: &[RTCRtpCodecParameters],
) -> (MediaStreamTrack, u32) {
    let ssrc = rand::random();
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..Default::default()
        },
        codec: codecs
            .first()
            .map(|c| c.rtp_codec.clone())
            .unwrap_or_default(),
        ..Default::default()
    };
    let track = MediaStreamTrack::new(
        stream.to_owned(),
        format!("{stream}-{}", medium.name()),
        medium.name().to_owned(),
        medium.kind(),
        vec![coding],
    );
    (track, ssrc)
}
