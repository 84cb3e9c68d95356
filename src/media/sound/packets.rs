//! Packets of the microphone whose memory is used again: after the first few nothing
//! is allocated for one.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::media::feed::SoundPacket;

/// Packets under way: what the feed keeps for slow listeners, twice. With more of
/// them in somebody's hands a fresh one is made.
const POOL: usize = 2 * super::FEED_LENGTH;
/// Room for a packet, bytes: 40 kb/s need 100.
pub(super) const LARGEST: usize = 1275;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Packets {
    pool: Vec<Arc<SoundPacket>>,
    next: usize,
}

impl Packets {
    pub(super) fn new(now: Instant) -> Self {
        let pool = (0..POOL).map(|_| {
            Arc::new(SoundPacket {
                data: fresh(),
                timestamp: 0,
                encoded: now,
            })
        });
        Self {
            pool: pool.collect(),
            next: 0,
        }
    }

    /// A packet with these bytes.
    pub(super) fn make(
        &mut self,
        data: &[u8],
        timestamp: u32,
        encoded: Instant,
    ) -> Arc<SoundPacket> {
        let slot = &mut self.pool[self.next];
        self.next = (self.next + 1) % POOL;
        if Arc::get_mut(slot).is_none() {
            *slot = Arc::new(SoundPacket {
                data: fresh(),
                timestamp,
                encoded,
            });
        }
        if let Some(packet) = Arc::get_mut(slot) {
            packet.data = fill(std::mem::take(&mut packet.data), data);
            (packet.timestamp, packet.encoded) = (timestamp, encoded);
        }
        Arc::clone(slot)
    }
}

/// Memory for a packet, of the kind that can be taken back.
fn fresh() -> Bytes {
    let mut memory = BytesMut::zeroed(LARGEST);
    // What was split once is counted by reference and stays so: without this the
    // counter would be allocated and freed with each packet.
    drop(memory.split_off(LARGEST));
    memory.freeze()
}

/// The same memory with other bytes, if nobody else holds it.
fn fill(memory: Bytes, data: &[u8]) -> Bytes {
    match memory.try_into_mut() {
        Ok(mut memory) => {
            memory.clear();
            memory.extend_from_slice(data);
            memory.freeze()
        }
        Err(_) => fill(fresh(), data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_once_nobody_holds_it() {
        let now = crate::clock::now();
        let mut packets = Packets::new(now);
        let mut places = std::collections::BTreeSet::new();
        for number in 0..10 * POOL {
            let data = vec![number as u8; 20 + number % 80];
            let packet = packets.make(&data, number as u32, now);
            assert_eq!(
                (&packet.data[..], packet.timestamp),
                (&data[..], number as u32)
            );
            places.insert(packet.data.as_ptr());
        }
        assert_eq!(places.len(), POOL);
    }

    #[test]
    fn what_somebody_holds_stays_as_it_is() {
        let now = crate::clock::now();
        let mut packets = Packets::new(now);
        let held: Vec<_> = (0..3 * POOL as u32)
            .map(|number| packets.make(&[number as u8], number, now))
            .collect();
        let bytes = held[5].data.clone();
        drop(held);
        for number in 0..POOL as u32 {
            packets.make(&[0xff; 30], number, now);
        }
        assert_eq!(&bytes[..], [5]);
    }
}
