//! An interceptor that looks at packets, changes them, drops them or sends them more than
//! once, but makes none of its own: the queues that every interceptor needs, written once.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use webrtc::error::Error;

/// What a [`Tap`] does with each packet.
pub(crate) trait Look {
    /// A packet on its way in; `false` drops it.
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool;

    /// A packet on its way out; how often it leaves.
    fn outgoing(&mut self, packet: &mut TaggedPacket) -> usize;
}

/// The interceptor around a [`Look`].
pub(crate) struct Tap<L> {
    look: L,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl<L: Look> Tap<L> {
    pub(crate) fn new(look: L) -> Self {
        Self {
            look,
            read: VecDeque::new(),
            write: VecDeque::new(),
        }
    }
}

impl<L: Look> Protocol<TaggedPacket, TaggedPacket, ()> for Tap<L> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if self.look.incoming(&mut packet) {
            self.read.push_back(packet);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        let times = self.look.outgoing(&mut packet);
        for _ in 1..times {
            let message = packet.message.clone();
            self.write.push_back(TaggedPacket { message, ..packet });
        }
        if times > 0 {
            self.write.push_back(packet);
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.write.pop_front()
    }
}

impl<L: Look + Send + Sync + 'static> Interceptor for Tap<L> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
