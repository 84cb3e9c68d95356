// Measures what a page really shows and plays: pictures by reading them back from
// a canvas, sound by its frequency. Nothing here knows about calls.
//
// Loaded by the peer pages, and put into the indoor page before its own scripts.
'use strict';

(() => {
    // Date.now() has whole milliseconds; its offset to the monotonic clock is taken
    // at the edges of several of them, so that `wall` is good to a fraction of one.
    const offset = (() => {
        const seen = [];
        for (let i = 0; i < 5; i++) {
            const before = Date.now();
            let after = before;
            while (after === before) after = Date.now();
            seen.push(after - performance.now());
        }
        return Math.min(...seen);
    })();

    /** Milliseconds since the Unix epoch, with a fraction. */
    const wall = () => performance.now() + offset;

    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

    const percentile = (values, share) => {
        if (values.length === 0) return null;
        const sorted = [...values].sort((a, b) => a - b);
        return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    };

    const rounded = (value) => (value === null ? null : Math.round(value * 10) / 10);

    /**
     * Watches a <video>: counts presented frames, reads the clock that the station
     * draws into its test picture, and looks whether the picture lives.
     *
     * The clock is a row of black and white squares, most significant bit first:
     * milliseconds since the Unix epoch modulo 2^bits.
     */
    class Picture {
        /** `clock` = {x, y, size, bits, width, height}: the place of the first square
         *  in a picture of width x height; without it only liveliness is judged. */
        constructor(video, clock) {
            this.video = video;
            this.clock = clock;
            this.frames = 0;
            this.firstAt = null;
            this.latestAt = null;
            this.freeze = 0;
            this.unreadable = 0;
            this.latencies = [];
            this.brightness = 0;
            this.change = 0;
            this.previous = null;
            this.running = true;
            this.strip = canvas(clock ? clock.bits * 4 : 1, 4);
            this.small = canvas(64, 36);
            this.next();
        }

        next() {
            this.video.requestVideoFrameCallback(() => {
                if (!this.running) return;
                this.frame();
                this.next();
            });
        }

        frame() {
            const shown = wall();
            if (this.frames === 0) this.firstAt = shown;
            else this.freeze = Math.max(this.freeze, shown - this.latestAt);
            this.latestAt = shown;
            if (this.clock) this.readClock();
            // Liveliness needs no more than a few looks a second.
            if (this.frames % 8 === 0) this.look();
            this.frames++;
        }

        readClock() {
            const { x, y, size, bits, width, height } = this.clock;
            const sx = this.video.videoWidth / width;
            const sy = this.video.videoHeight / height;
            this.strip.drawImage(
                this.video,
                x * sx, y * sy, size * bits * sx, size * sy,
                0, 0, bits * 4, 4);
            const { data } = this.strip.getImageData(0, 0, bits * 4, 4);
            const read = wall();
            let value = 0;
            for (let bit = 0; bit < bits; bit++) {
                // The middle of the square: its edges are blurred by the codec.
                let light = 0;
                for (const row of [1, 2]) {
                    for (const column of [1, 2]) {
                        light += data[(row * bits * 4 + bit * 4 + column) * 4 + 1];
                    }
                }
                light /= 4;
                if (light > 90 && light < 165) {
                    this.unreadable++;
                    return;
                }
                value = value * 2 + (light > 127 ? 1 : 0);
            }
            const modulus = 2 ** bits;
            const age = ((read - value) % modulus + modulus) % modulus;
            // Ages are far below the modulus; a wrong bit makes them absurd.
            if (age > 60000) this.unreadable++;
            else this.latencies.push(age);
        }

        look() {
            this.small.drawImage(this.video, 0, 0, 64, 36);
            const { data } = this.small.getImageData(0, 0, 64, 36);
            let light = 0;
            let changed = 0;
            for (let i = 0; i < data.length; i += 4) {
                light += data[i] + data[i + 1] + data[i + 2];
                if (this.previous && Math.abs(data[i + 1] - this.previous[i + 1]) > 12) changed++;
            }
            const pixels = data.length / 4;
            this.brightness = Math.max(this.brightness, light / 3 / pixels);
            this.change = Math.max(this.change, changed / pixels);
            this.previous = data;
        }

        /** What was seen; `reset` forgets the latencies, the longest freeze and the liveliness. */
        report({ reset = false } = {}) {
            const report = {
                frames: this.frames,
                first_at_ms: this.firstAt,
                width: this.video.videoWidth,
                height: this.video.videoHeight,
                brightness: rounded(this.brightness),
                change: this.change,
                freeze_ms: rounded(this.freeze),
                readings: this.latencies.length,
                unreadable: this.unreadable,
                latency_p50_ms: rounded(percentile(this.latencies, 0.5)),
                latency_p95_ms: rounded(percentile(this.latencies, 0.95)),
            };
            if (reset) {
                this.latencies = [];
                this.freeze = 0;
                this.unreadable = 0;
                this.brightness = 0;
                this.change = 0;
            }
            return report;
        }

        stop() {
            this.running = false;
        }
    }

    const canvas = (width, height) => {
        const element = document.createElement('canvas');
        element.width = width;
        element.height = height;
        return element.getContext('2d', { willReadFrequently: true });
    };

    // As in the reader of the speaker's file: see tests/common/sound.rs.
    const SILENCE = 0.003;
    const SHARE = 0.6;
    const GAP_MS = 100;

    /** The share of the energy of `samples` that lies at `hz` (Goertzel). */
    const shareOf = (samples, hz, rate) => {
        const coefficient = 2 * Math.cos(2 * Math.PI * hz / rate);
        let last = 0;
        let before = 0;
        let energy = 0;
        for (const sample of samples) {
            const next = sample + coefficient * last - before;
            before = last;
            last = next;
            energy += sample * sample;
        }
        if (Math.sqrt(energy / samples.length) < SILENCE) return 0;
        const power = last * last + before * before - coefficient * last * before;
        return 2 * power / (samples.length * energy);
    };

    /**
     * Listens to a sound track: when a tone of `hz` begins, and for how long it is
     * heard; and when that voice was heard at all, by its marks or by the hum between
     * them. A remote track is only decoded while an element plays it.
     */
    class Ear {
        constructor(track, hz, humHz = hz) {
            this.hz = hz;
            this.humHz = humHz;
            this.firstAt = null;
            this.onsets = [];
            this.heardMs = 0;
            this.totalMs = 0;
            this.lastHeard = -Infinity;
            this.loudest = 0;
            this.previous = new Float32Array();
            this.reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
            this.listening = this.listen();
        }

        async listen() {
            for (;;) {
                const { value: block, done } = await this.reader.read();
                if (done) return;
                const arrived = wall();
                const samples = new Float32Array(block.numberOfFrames);
                block.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
                this.take(samples, block.sampleRate, arrived);
                block.close();
            }
        }

        take(samples, rate, arrived) {
            const ms = samples.length * 1000 / rate;
            this.totalMs += ms;
            const peak = samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
            this.loudest = Math.max(this.loudest, peak);
            const { previous } = this;
            this.previous = samples;
            const mark = shareOf(samples, this.hz, rate);
            if (this.firstAt === null && mark + shareOf(samples, this.humHz, rate) > SHARE) {
                this.firstAt = arrived - ms / 2;
            }
            if (mark < SHARE) return;
            this.heardMs += ms;
            if (arrived - this.lastHeard > GAP_MS) {
                const first = this.begin(previous, samples, peak, rate);
                this.onsets.push(arrived - (samples.length - first) * 1000 / rate);
            }
            this.lastHeard = arrived;
        }

        /** Where a mark begins that `samples` is the first block to be full of, in samples
         *  from its beginning; negative in the block before, which has too little of the
         *  mark to be known by it. */
        begin(previous, samples, peak, rate) {
            const both = new Float32Array(previous.length + samples.length);
            both.set(previous);
            both.set(samples, previous.length);
            const first = both.findIndex((sample, at) => Math.abs(sample) > peak / 4
                && (at >= previous.length
                    || shareOf(both.subarray(at, at + samples.length), this.hz, rate) >= SHARE));
            return first - previous.length;
        }

        report() {
            return {
                first_at_ms: this.firstAt,
                onsets_ms: this.onsets,
                heard_ms: Math.round(this.heardMs),
                total_ms: Math.round(this.totalMs),
                loudest: this.loudest,
            };
        }

        stop() {
            this.reader.cancel().catch(() => {});
        }
    }

    const KEYS = '0123456789*#ABCD';

    /** The keys that the other side presses (RFC 4733), as they come in: a page hears and
     *  sees nothing of them, but its packets pass here before they are decoded. */
    class Keys {
        constructor(pc) {
            this.pressed = [];
            this.latest = null;
            const work = `onrtctransform = ({ transformer: { readable, writable } }) => {
                readable.pipeThrough(new TransformStream({
                    transform(frame, controller) {
                        const { rtpTimestamp } = frame.getMetadata();
                        const bytes = [...new Uint8Array(frame.data)];
                        if (bytes.length === 4) postMessage({ rtpTimestamp, bytes });
                        controller.enqueue(frame);
                    },
                })).pipeTo(writable).catch(() => {});
            };`;
            const url = URL.createObjectURL(new Blob([work], { type: 'text/javascript' }));
            this.worker = new Worker(url);
            this.worker.onmessage = ({ data }) => this.take(data);
            pc.addEventListener('track', ({ track, receiver }) => {
                if (track.kind === 'audio' && !receiver.transform) {
                    receiver.transform = new RTCRtpScriptTransform(this.worker);
                }
            });
        }

        /** The packets of one key have one timestamp; `bytes` are event, end and volume,
         *  and the duration. */
        take({ rtpTimestamp, bytes: [event] }) {
            if (rtpTimestamp === this.latest || event >= KEYS.length) return;
            this.latest = rtpTimestamp;
            this.pressed.push(KEYS[event]);
        }

        stop() {
            this.worker.terminate();
        }
    }

    /** Far more than any step takes, in milliseconds: a slow machine is slow, not red. */
    const PATIENCE = 60000;

    /** Waits until `check()` gives something, and gives it; an error after `ms`. */
    const until = async (what, check, ms = PATIENCE) => {
        const end = performance.now() + ms;
        for (;;) {
            const value = await check();
            if (value) return value;
            if (performance.now() > end) throw new Error(`no ${what} within ${ms} ms`);
            await sleep(20);
        }
    };

    /** The entries of getStats() of `kind` ("audio" or "video") that came in. */
    const inbound = async (pc, kind) => {
        const stats = await pc.getStats();
        const reports = [...stats.values()];
        const found = reports.filter((r) => r.type === 'inbound-rtp' && r.kind === kind);
        return found.map((report) => ({ report, codec: stats.get(report.codecId) }));
    };

    const decodedFrames = async (pc) => {
        const entries = await inbound(pc, 'video');
        return entries.reduce((sum, { report }) => sum + (report.framesDecoded || 0), 0);
    };

    /** Frames decoded a second over the next `ms`, and the codec that they came in. */
    const frameRate = async (pc, ms = 2000) => {
        const first = await decodedFrames(pc);
        const from = performance.now();
        await sleep(ms);
        const last = await decodedFrames(pc);
        const seconds = (performance.now() - from) / 1000;
        const entries = await inbound(pc, 'video');
        const busiest = entries.sort((a, b) => b.report.framesDecoded - a.report.framesDecoded)[0];
        return {
            fps: rounded((last - first) / seconds),
            codec: busiest && busiest.codec ? busiest.codec.mimeType : null,
            freezes: busiest ? busiest.report.freezeCount : null,
            jitter_buffer_ms: busiest && busiest.report.jitterBufferEmittedCount
                ? rounded(1000 * busiest.report.jitterBufferDelay
                    / busiest.report.jitterBufferEmittedCount)
                : null,
        };
    };

    /** As `frameRate`, until a window of `ms` reaches `least`: a machine that is busy
     *  with something else for a moment makes this slower, not wrong. */
    const steadyFrameRate = async (pc, ms = 2000, least = 25, patience = PATIENCE) => {
        const end = performance.now() + patience;
        let rate;
        do {
            rate = await frameRate(pc, ms);
        } while (rate.fps < least && performance.now() < end);
        return rate;
    };

    window.measure = { wall, sleep, until, Picture, Ear, Keys, frameRate, steadyFrameRate, decodedFrames, inbound, shareOf };
})();
