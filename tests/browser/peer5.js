// A page that behaves like one with SDK 5.2 of the same family, written from
// protocol sections 2 to 8: it bundles where the other side does, takes H264 out of
// all SDP, sends `ringing` by itself and holds with `inactive`.
'use strict';

class Peer5 extends Peer {
    get scheme() {
        return 'Basic';
    }

    callHeaders() {
        return { 'X-Cpaas-Agent': 'link-js-sdk/5.2.0' };
    }

    subscribeMore() {
        return { forceLogOut: 'false' };
    }

    localDescription(text) {
        return sdp.withoutCodec(text, 'H264');
    }

    remoteOffer(text) {
        return sdp.withoutCodec(text, 'H264');
    }

    remoteAnswer(text) {
        return sdp.withoutCodec(text, 'H264');
    }

    prepareOffer(call) {
        // Without a camera it offers no video line at all.
        for (const track of call.stream.getTracks()) call.pc.addTrack(track, call.stream);
    }

    async incoming(call) {
        await this.control(call, { type: 'ringing' });
    }

    /** Comes back at once, to the same URL, unless the server said not to. */
    socketClosed(socket, code) {
        if (socket === this.socket && code !== 1000 && !this.gone) {
            this.openSocket().catch(() => {});
        }
    }

    isHoldOffer(text) {
        return sdp.media(text)
            .filter((section) => sdp.port(section) !== 0)
            .every((section) => ['sendonly', 'inactive'].includes(sdp.direction(section)));
    }

    setDirections(call, hold) {
        for (const transceiver of call.pc.getTransceivers()) {
            if (hold) transceiver.direction = 'inactive';
            else if (transceiver.receiver.track.kind === 'audio' || call.withVideo) {
                transceiver.direction = 'sendrecv';
            } else transceiver.direction = this.soundOnly ? 'inactive' : 'recvonly';
        }
    }
}
