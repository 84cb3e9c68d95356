// One RTCPeerConnection, driven by descriptions alone: what the media sessions are
// tried with before there is any signalling. Generation 3 does to SDP what Kandy.js
// 3.x does to it (protocol section 7), generation 5 leaves it alone.
'use strict';

class Session {
    constructor({ generation, policy = 'balanced', camera = false }) {
        this.generation = generation;
        this.camera = camera;
        this.pc = new RTCPeerConnection({ bundlePolicy: policy });
        this.video = document.createElement('video');
        Object.assign(this.video, { autoplay: true, playsInline: true, muted: true });
        this.video.srcObject = new MediaStream();
        document.body.append(this.video);
        this.pc.ontrack = ({ track }) => this.video.srcObject.addTrack(track);
    }

    async open() {
        this.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: this.camera });
        return this;
    }

    /** What leaves the page. */
    sent(text) {
        return this.generation === 3 ? sdp.withoutBundle(text) : text;
    }

    async described() {
        if (this.pc.iceGatheringState !== 'complete') {
            await new Promise((resolve) => {
                this.pc.onicegatheringstatechange = () => {
                    if (this.pc.iceGatheringState === 'complete') resolve();
                };
            });
        }
        return this.sent(this.pc.localDescription.sdp);
    }

    async offer(picture) {
        for (const track of this.stream.getTracks()) this.pc.addTrack(track, this.stream);
        if (picture === 'recvonly') this.pc.addTransceiver('video', { direction: 'recvonly' });
        await this.pc.setLocalDescription();
        return this.described();
    }

    async apply(text) {
        let sdpText = this.sent(text);
        if (this.generation === 3) {
            sdpText = sdp.each(sdpText, 'video', (section) => (sdp.port(section) === 0
                ? section.replace(/^m=video 0 /, 'm=video 1 ')
                : section.replace('a=sendonly', 'a=sendrecv')));
        }
        await this.pc.setRemoteDescription({ type: 'answer', sdp: sdpText });
    }

    async answer(text) {
        await this.pc.setRemoteDescription({ type: 'offer', sdp: this.sent(text) });
        if (this.pc.getSenders().every((sender) => !sender.track)) {
            for (const track of this.stream.getTracks()) this.pc.addTrack(track, this.stream);
        }
        await this.pc.setLocalDescription();
        return this.described();
    }

    /** A new offer that holds, or takes the hold back. */
    async reoffer(direction) {
        for (const transceiver of this.pc.getTransceivers()) {
            const sends = transceiver.sender.track !== null;
            transceiver.direction = direction ?? (sends ? 'sendrecv' : 'recvonly');
        }
        await this.pc.setLocalDescription();
        return this.described();
    }

    async counts() {
        const counts = { frames: 0, sound_in: 0, sound_out: 0, picture_out: 0, plis: 0,
            state: this.pc.connectionState, transports: 0 };
        for (const stat of (await this.pc.getStats()).values()) {
            if (stat.type === 'inbound-rtp' && stat.kind === 'video') {
                counts.frames += stat.framesDecoded;
                counts.plis += stat.pliCount;
            }
            if (stat.type === 'inbound-rtp' && stat.kind === 'audio') {
                counts.sound_in += stat.packetsReceived;
            }
            if (stat.type === 'outbound-rtp') {
                counts[stat.kind === 'audio' ? 'sound_out' : 'picture_out'] += stat.packetsSent;
            }
            if (stat.type === 'transport') counts.transports += 1;
        }
        return counts;
    }

    close() {
        this.pc.close();
        for (const track of this.stream.getTracks()) track.stop();
        this.video.remove();
    }
}
