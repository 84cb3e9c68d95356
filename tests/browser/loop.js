// A call of the page with itself, with a known picture and a known sound: what the
// measuring code is tried on.
'use strict';

class Loop {
    /** `live`: the picture has a clock and moves; else it is black and still. */
    static async start({ live, clock }) {
        const loop = new Loop();
        loop.painter = document.createElement('canvas');
        Object.assign(loop.painter, { width: clock.width, height: clock.height });
        const context = loop.painter.getContext('2d');
        loop.timer = setInterval(() => {
            context.fillStyle = live ? '#777' : '#000';
            context.fillRect(0, 0, clock.width, clock.height);
            if (!live) return;
            const now = Math.floor(measure.wall());
            for (let bit = 0; bit < clock.bits; bit++) {
                const set = Math.floor(now / 2 ** (clock.bits - 1 - bit)) % 2;
                context.fillStyle = set ? '#fff' : '#000';
                context.fillRect(clock.x + bit * clock.size, clock.y, clock.size, clock.size);
            }
            context.fillStyle = '#ff0';
            context.fillRect(now / 5 % clock.width, clock.height / 2, 120, 120);
        }, 1000 / 30);

        const stream = loop.painter.captureStream(30);
        const sound = await navigator.mediaDevices.getUserMedia({
            audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
        });
        loop.mouth = new measure.Ear(sound.getAudioTracks()[0].clone(), 1850);
        const from = new RTCPeerConnection();
        loop.pc = new RTCPeerConnection();
        from.onicecandidate = ({ candidate }) => loop.pc.addIceCandidate(candidate);
        loop.pc.onicecandidate = ({ candidate }) => from.addIceCandidate(candidate);

        const video = document.createElement('video');
        Object.assign(video, { autoplay: true, playsInline: true });
        document.body.append(video);
        video.srcObject = new MediaStream();
        loop.pc.ontrack = ({ track }) => {
            video.srcObject.addTrack(track);
            if (track.kind !== 'audio') return;
            loop.ear = new measure.Ear(track, 1850);
            loop.wrongEar = new measure.Ear(track.clone(), 1200);
        };
        for (const track of [...stream.getTracks(), ...sound.getTracks()]) from.addTrack(track);
        await from.setLocalDescription();
        await loop.pc.setRemoteDescription(from.localDescription);
        await loop.pc.setLocalDescription();
        await from.setRemoteDescription(loop.pc.localDescription);
        loop.picture = new measure.Picture(video, clock);
        return loop;
    }
}
