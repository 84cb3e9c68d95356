//! What a picture costs between the encoder and the socket: packing into RTP, and SRTP.
//!
//! `cargo bench --bench media`. At 1.5 Mbit/s and 30 pictures a second a picture has
//! 6,250 bytes; there are 33 ms for it, encoder and all.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::header::Header;
use rtc::rtp::packetizer::Payloader;
use rtc::shared::marshal::Marshal as _;
use rtc::srtp::context::Context;
use rtc::srtp::protection_profile::ProtectionProfile;

/// Bytes of a picture.
const PICTURE: usize = 6_250;
/// Bytes of payload in a packet, as the station packs them.
const PAYLOAD: usize = 1_180;

/// One access unit in Annex B: a start code, a slice's header byte, and what no codec
/// would repeat. No start code is in it.
fn picture(header: &[u8]) -> Bytes {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 | 1
    });
    let mut bytes = header.to_vec();
    bytes.extend(noise.take(PICTURE));
    bytes.into()
}

fn packing(criterion: &mut Criterion) {
    let h264 = picture(&[0, 0, 0, 1, 0x41]);
    let mut payloader = H264Payloader::default();
    criterion.bench_function("packing, a picture, H264", |bencher| {
        bencher.iter(|| {
            payloader
                .payload(PAYLOAD, black_box(&h264))
                .map(|parts| parts.len())
        });
    });
    let vp8 = picture(&[0x11]);
    let mut payloader = Vp8Payloader::default();
    payloader.enable_picture_id = true;
    criterion.bench_function("packing, a picture, VP8", |bencher| {
        bencher.iter(|| {
            payloader
                .payload(PAYLOAD, black_box(&vp8))
                .map(|parts| parts.len())
        });
    });
}

fn srtp(criterion: &mut Criterion) {
    let crypto = rtc::crypto::default_provider().expect("ring is built in");
    for (name, profile) in [
        (
            "SRTP, a picture, AES-128-GCM",
            ProtectionProfile::AeadAes128Gcm,
        ),
        (
            "SRTP, a picture, AES-128-CM",
            ProtectionProfile::Aes128CmHmacSha1_80,
        ),
    ] {
        let key = vec![0x5a; profile.key_len()];
        let salt = vec![0xa5; profile.salt_len()];
        let context = Context::new(&key, &salt, profile, None, None, crypto.crypto());
        let mut context = context.expect("key and salt have their lengths");
        let mut sequence_number = 0_u16;
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    let parts = picture(&[0x41]);
                    let parts = parts.chunks(PAYLOAD).map(|part| {
                        sequence_number = sequence_number.wrapping_add(1);
                        let packet = rtc::rtp::Packet {
                            header: Header {
                                version: 2,
                                payload_type: 102,
                                sequence_number,
                                ssrc: 1,
                                ..Default::default()
                            },
                            payload: Bytes::copy_from_slice(part),
                        };
                        packet.marshal().expect("a packet")
                    });
                    parts.collect::<Vec<_>>()
                },
                |packets| {
                    let sizes = packets.iter().map(|packet| {
                        context
                            .encrypt_rtp(packet)
                            .map_or(0, |encrypted| encrypted.len())
                    });
                    sizes.sum::<usize>()
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, packing, srtp);
criterion_main!(benches);
