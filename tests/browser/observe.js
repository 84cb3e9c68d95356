// Looks over the shoulder of the indoor page: notes its states, the person's clicks
// and what its connections bring. It changes nothing that the page does.
//
// Put into the page before its own scripts, after measure.js.
'use strict';

(() => {
    const observed = {
        connections: [],
        microphones: [],
        ears: [],
        states: [],
        clicks: {},
        picture: null,
        /** Set by the test before a page is opened. */
        setting: OBSERVE_SETTING,

        /** Begins a new account: what was seen and heard so far is forgotten. */
        begin() {
            this.states = [];
            this.clicks = {};
            for (const ear of this.ears) ear.stop();
            this.ears = [];
            // The page may keep its microphone from call to call.
            for (const ear of this.microphones) ear.onsets = [];
            this.connections = [];
            this.picture?.stop();
            const video = document.querySelector('#remote');
            this.picture = new measure.Picture(video, this.setting.clock);
            this.note();
        },

        note() {
            const state = document.body?.dataset.state;
            if (state && this.states.at(-1)?.state !== state) {
                this.states.push({ state, at_ms: measure.wall() });
            }
        },

        state(name) {
            return this.states.find(({ state }) => state === name)?.at_ms ?? null;
        },

        /** The connection that is in use: one of a call that only rings is not. */
        get pc() {
            const connected = ({ connectionState }) => connectionState === 'connected';
            return this.connections.findLast(connected) ?? this.connections.at(-1);
        },

        /** What is heard through it. */
        get ear() {
            return this.ears.findLast(({ pc }) => pc === this.pc);
        },

        get microphone() {
            return this.microphones.at(-1);
        },
    };

    const RealConnection = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends RealConnection {
        constructor(...args) {
            super(...args);
            observed.connections.push(this);
            this.addEventListener('track', ({ track }) => {
                const { mark_hz, hum_hz } = observed.setting.door;
                if (track.kind === 'audio') {
                    const ear = new measure.Ear(track.clone(), mark_hz, hum_hz);
                    ear.pc = this;
                    observed.ears.push(ear);
                }
            });
        }
    };

    const devices = navigator.mediaDevices;
    if (devices) {
        const getUserMedia = devices.getUserMedia.bind(devices);
        devices.getUserMedia = async (wanted) => {
            const stream = await getUserMedia(wanted);
            const { mark_hz, hum_hz } = observed.setting.page;
            for (const track of stream.getAudioTracks()) {
                observed.microphones.push(new measure.Ear(track.clone(), mark_hz, hum_hz));
            }
            return stream;
        };
    }

    document.addEventListener('click', ({ target }) => {
        const control = target.closest?.('button');
        if (control?.id) observed.clicks[control.id] = measure.wall();
    }, true);

    document.addEventListener('DOMContentLoaded', () => {
        observed.note();
        new MutationObserver(() => observed.note())
            .observe(document.body, { attributes: true, attributeFilter: ['data-state'] });
    });

    window.observed = observed;
})();
