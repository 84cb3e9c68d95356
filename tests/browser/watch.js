// Watches one session for a while: what a person would see and hear of it.
'use strict';

/** Hears the marks of `hz` in a stream: when each begins, in ms. */
class Marks {
    constructor(stream, hz) {
        this.onsets = [];
        this.context = new AudioContext({ sampleRate: 48000 });
        // Chromium plays no remote sound into a graph that no element plays.
        this.element = new Audio();
        Object.assign(this.element, { srcObject: stream, muted: true });
        this.element.play();
        this.analyser = this.context.createAnalyser();
        this.analyser.fftSize = 2048;
        this.context.createMediaStreamSource(stream).connect(this.analyser);
        this.samples = new Float32Array(2048);
        this.last = -Infinity;
        this.timer = setInterval(() => this.look(hz), 20);
    }

    look(hz) {
        this.analyser.getFloatTimeDomainData(this.samples);
        let [re, im, energy] = [0, 0, 0];
        for (let i = 1088; i < 2048; i += 1) {
            const phase = 2 * Math.PI * hz * i / 48000;
            re += this.samples[i] * Math.cos(phase);
            im += this.samples[i] * Math.sin(phase);
            energy += this.samples[i] ** 2;
        }
        const share = 2 * (re * re + im * im) / 960 / Math.max(energy, 1e-9);
        if (energy < 0.1 || share < 0.6) return;
        const now = performance.now();
        if (now - this.last > 300) this.onsets.push(now);
        this.last = now;
    }
}

async function state(session) {
    const found = {};
    for (const stat of (await session.pc.getStats()).values()) {
        if (stat.type !== 'inbound-rtp') continue;
        if (stat.kind === 'video') {
            Object.assign(found, { frames: stat.framesDecoded, width: stat.frameWidth,
                plis: stat.pliCount, nacks: stat.nackCount });
        } else {
            Object.assign(found, { sound: stat.packetsReceived - (stat.packetsDiscarded ?? 0),
                concealed: stat.concealedSamples, samples: stat.totalSamplesReceived });
        }
    }
    return found;
}

/** Follows the session for `ms`. */
async function watch(session, hz, ms) {
    session.marks ??= new Marks(session.video.srcObject, hz);
    const begin = performance.now();
    const first = await state(session);
    let [frames, latest, freeze] = [first.frames, begin, 0];
    let last = first;
    while (performance.now() < begin + ms) {
        await new Promise((resolve) => { setTimeout(resolve, 20); });
        last = await state(session);
        const now = performance.now();
        if (last.frames > frames) [frames, latest] = [last.frames, now];
        freeze = Math.max(freeze, now - latest);
    }
    const took = performance.now() - begin;
    const marks = session.marks.onsets.filter((at) => at > begin).length;
    return {
        rate: (last.frames - first.frames) * 1000 / took,
        freeze,
        marks,
        // One may lie across the end.
        expected: Math.floor((took - 350) / 1000),
        plis: last.plis - first.plis,
        nacks: last.nacks - first.nacks,
        width: last.width,
        concealed: (last.concealed - first.concealed) / Math.max(last.samples - first.samples, 1),
        state: session.pc.connectionState,
    };
}

/** How long, in ms, until pictures and sound pass again. */
async function back(session) {
    const begin = performance.now();
    const first = await state(session);
    const found = {};
    while (found.picture === undefined || found.sound === undefined) {
        await new Promise((resolve) => { setTimeout(resolve, 10); });
        const now = await state(session);
        const took = performance.now() - begin;
        if (now.frames >= first.frames + 3) found.picture ??= took;
        if (now.sound >= first.sound + 5) found.sound ??= took;
        if (took > 20000) throw new Error(`nothing came back: ${JSON.stringify(found)}`);
    }
    return found;
}

Object.assign(window, { watch, back });
