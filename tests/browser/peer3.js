// A page that behaves like one with Kandy.js 3.x, written from protocol sections 2
// to 7: it never bundles, and it rewrites SDP in the ways that decide whether a
// station can be heard and seen.
'use strict';

class Peer3 extends Peer {
    get scheme() {
        return 'basic';
    }

    callHeaders() {
        return { 'X-Requested-With': 'XMLHttpRequest' };
    }

    pcConfig() {
        return { rtcpMuxPolicy: 'negotiate' };
    }

    localDescription(text) {
        return sdp.withoutBundle(text);
    }

    /** What it does to everything that it receives. */
    received(text) {
        let result = sdp.withoutBundle(text);
        result = sdp.withoutLines(result, /^b=|^a=crypto:/);
        result = sdp.withoutCodec(result, 'G722');
        return result.replace(/profile-level-id=[0-9a-fA-F]{4}/g, 'profile-level-id=42e0');
    }

    remoteOffer(text, { first }) {
        const result = this.received(text);
        return first ? result : result.replace(/^a=setup:\w+/gm, 'a=setup:actpass');
    }

    remoteAnswer(text, { first }) {
        return sdp.each(this.received(text), 'video', (section) => {
            if (sdp.port(section) === 0) {
                // The browser is to keep the section although it was rejected.
                return section
                    .replace(/^m=video 0 /, 'm=video 1 ')
                    .replace(/^a=(sendrecv|sendonly|recvonly)\r$/m, 'a=inactive\r');
            }
            // The first such text in the section, wherever it stands.
            const result = section.replace('a=sendonly', 'a=sendrecv');
            return first ? result : result.replace('a=inactive', 'a=recvonly');
        });
    }

    /** Every line that is in use is on sendonly or inactive, or has no address. */
    isHoldOffer(text) {
        const [session] = sdp.split(text);
        const nowhere = /^c=IN IP4 0\.0\.0\.0\r?$/m;
        const used = sdp.media(text).filter((section) => ![0, 9].includes(sdp.port(section)));
        return used.length > 0 && used.every((section) =>
            ['sendonly', 'inactive'].includes(sdp.direction(section))
            || nowhere.test(section) || (!/^c=/m.test(section) && nowhere.test(session)));
    }

    setDirections(call, hold) {
        for (const transceiver of call.pc.getTransceivers()) {
            if (hold) transceiver.direction = call.remoteHold ? 'inactive' : 'sendonly';
            else if (transceiver.receiver.track.kind === 'audio' || call.withVideo) {
                transceiver.direction = 'sendrecv';
            } else transceiver.direction = this.soundOnly ? 'inactive' : 'recvonly';
        }
    }

    endQuery() {
        return '?reasonText=Ended%20by%20local%20user';
    }

    endBody() {
        return {};
    }
}
