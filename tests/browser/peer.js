// What both generations of peers share: the Kandy Link protocol of protocol
// sections 2 to 6, one call at a time, and the ways in which a test looks at it.
//
// The states carry the names of Kandy.js 3.x in both generations, so that a test
// reads the same for each.
'use strict';

/** One call of a peer. */
class Call {
    constructor(peer, direction) {
        this.peer = peer;
        this.direction = direction;
        this.state = null;
        this.history = [];
        this.session = null;
        this.established = false;
        this.localHold = false;
        this.remoteHold = false;
        this.withVideo = false;
        /** Notifications are worked off one by one. */
        this.work = Promise.resolve();
        /** Resolves the wait for the answer to our own offer. */
        this.answered = null;
    }

    set(state, more = {}) {
        if (this.state === state || this.state === 'ENDED') return;
        this.state = state;
        this.history.push({ state, at_ms: measure.wall(), ...more });
    }

    get over() {
        return this.state === 'ENDED';
    }

    /** Ends it on this side only. */
    finish(code, reason) {
        if (this.over) return;
        this.set('ENDED', { code, reason });
        clearInterval(this.auditTimer);
        clearTimeout(this.firstAudit);
        this.pc?.close();
        for (const track of this.stream?.getTracks() ?? []) track.stop();
        this.mouth?.stop();
        this.ear?.stop();
        this.keys?.stop();
        this.answered?.reject(new Error(`the call ended: ${code} ${reason}`));
        this.answered = null;
    }
}

/** A page that uses Kandy.js; `Peer3` and `Peer5` have the habits. */
class Peer {
    constructor({ gateway, user, password, voice, remoteVoice, camera = false, codec = null, soundOnly = false }) {
        /** The marks that this peer's microphone hears, and those of the other side. */
        this.voice = voice;
        this.remoteVoice = remoteVoice;
        this.gateway = gateway;
        this.user = user;
        this.domain = user.slice(user.indexOf('@') + 1);
        this.password = password;
        /** Whether calls are made and answered with this peer's own camera. */
        this.camera = camera;
        /** Only this video codec ("H264"), or null for what the browser has. */
        this.codec = codec;
        /** No picture in either direction (`isVideoEnabled: false`). */
        this.soundOnly = soundOnly;
        /** Whether the keys that the other side presses are read. */
        this.readsKeys = false;
        this.calls = [];
        this.seen = [];
        this.waiting = [];
        this.log = [];
        this.video = document.createElement('video');
        this.video.autoplay = true;
        this.video.playsInline = true;
        document.body.append(this.video);
    }

    // ---- What the generations do in their own way ----

    get scheme() { throw new Error('each generation has its own'); }
    callHeaders() { return {}; }
    subscribeMore() { return {}; }
    pcConfig() { return {}; }
    localDescription(text) { return text; }
    remoteOffer(text, { first }) { return text; }
    remoteAnswer(text, { first, offer }) { return text; }
    isHoldOffer(text) { throw new Error('each generation has its own'); }
    async incoming(call) {}
    socketClosed(socket, code) {}
    endQuery() { return ''; }
    endBody() { return undefined; }

    // ---- Requests ----

    async request(method, path, body, headers = {}) {
        const response = await fetch(this.gateway + path, {
            method,
            headers: {
                Accept: 'application/json',
                'Content-Type': 'application/json',
                Authorization: `${this.scheme} ${btoa(`${this.user}:${this.password}`)}`,
                ...headers,
            },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const reply = await response.json().catch(() => null);
        this.log.push({ at_ms: measure.wall(), method, path, body, status: response.status, reply });
        if (!response.ok) {
            const wrapper = reply && Object.values(reply)[0];
            throw Object.assign(
                new Error(`${method} ${path}: HTTP ${response.status} ${JSON.stringify(reply)}`),
                { status: response.status, statusCode: wrapper?.statusCode, retryAfter: wrapper?.retryAfter });
        }
        return reply;
    }

    base() {
        return `/rest/version/1/user/${this.user}`;
    }

    control(call, request) {
        return this.request('PUT', `${this.base()}/callControl/callSessions/${call.session}`,
            { callControlRequest: request }, this.callHeaders());
    }

    // ---- Subscription and socket ----

    async connect() {
        const reply = await this.request('POST', `${this.base()}/subscription`, {
            subscribeRequest: {
                expires: 3600,
                service: ['IM', 'Presence', 'call'],
                localization: 'English_US',
                useTurn: true,
                notificationType: 'WebSocket',
                supported: ['RingingFeedback'],
                ...this.subscribeMore(),
            },
        });
        const { subscription, subscriptionParams } = reply.subscribeResponse;
        if (!Array.isArray(subscriptionParams.service)) throw new Error('service is no array');
        this.subscription = subscription;
        this.channel = this.gateway.replace(/^http/, 'ws') + subscriptionParams.notificationChannel;
        await this.openSocket();
        this.pinging = setInterval(() => this.ping(), 30000);
        return subscriptionParams;
    }

    async openSocket() {
        const socket = new WebSocket(this.channel);
        await new Promise((resolve, reject) => {
            socket.onopen = resolve;
            socket.onerror = () => reject(new Error('the WebSocket cannot be opened'));
        });
        socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
        socket.onclose = ({ code }) => this.socketClosed(socket, code);
        this.socket = socket;
        this.ping();
    }

    ping() {
        // Generation 3 watches no close event: a dead socket is found here.
        if (this.socket.readyState === WebSocket.OPEN) {
            this.socket.send(JSON.stringify({ message_type: 'ping' }));
        } else {
            this.openSocket().catch(() => {});
        }
    }

    /** The network takes the socket away; nobody is told. */
    async drop() {
        const { socket } = this;
        socket.onmessage = null;
        socket.close();
        await measure.until('the end of the socket', () => socket.readyState === WebSocket.CLOSED);
    }

    async disconnect() {
        clearInterval(this.pinging);
        for (const call of this.calls) call.finish('9900', 'disconnected');
        await this.request('DELETE', this.subscription);
        this.gone = true;
        this.socket.close();
    }

    // ---- Notifications ----

    receive(message) {
        // No check for notificationMessage, as in the SDKs: whatever else the gateway
        // sends is an error of the page.
        const note = message.notificationMessage;
        const type = note.eventType;
        this.log.push({ at_ms: measure.wall(), notification: type, note });
        if (this.seen.includes(note.eventId)) return;
        this.seen.push(note.eventId);
        if (this.seen.length > 100) this.seen.shift();
        if (type === 'gone') {
            this.gone = true;
            clearInterval(this.pinging);
            this.socket.close();
            return;
        }
        for (const field of ['callerDisplayNumber', 'callerName', 'calleeDisplayNumber',
            'remoteDisplayNumber', 'remoteName']) {
            if (typeof note.callNotificationParams[field] !== 'string') {
                throw new Error(`${type} without ${field}`);
            }
        }
        if (type === 'call') {
            this.takeCall(note);
            return;
        }
        const call = this.calls.find((call) => call.session === note.sessionParams.sessionData);
        if (call) this.dispatch(call, type, note);
        // The reply to our callStart may be on its way.
        else this.waiting.push({ type, note });
    }

    dispatch(call, type, note) {
        const { sdp: text, statusCode, reasonText } = note.sessionParams;
        if (type === 'callEnd') {
            call.finish(statusCode || '9900', reasonText || 'reason not provided');
        } else if (type === 'callCancel') {
            if (!call.established) call.finish('9904', 'responded from another device');
        } else if (type === 'ringing') {
            if (!call.established) call.set('RINGING');
        } else if (type === 'respondCallUpdate') {
            call.answered?.resolve(text);
        } else if (type === 'startCallUpdate') {
            this.queue(call, () => this.takeUpdate(call, text));
        }
    }

    /** One thing after the other; a failure ends the call without telling anybody,
     *  as the SDKs do. */
    queue(call, work) {
        call.work = call.work.then(async () => {
            if (call.over) return;
            try {
                await work();
            } catch (error) {
                call.failure = String(error && error.stack || error);
                call.finish('local', String(error));
            }
        });
        return call.work;
    }

    takeCall(note) {
        const { sessionData, sdp: text, actions } = note.sessionParams;
        if (!actions.includes('answer') || !actions.includes('reject')) {
            throw new Error('call without the actions answer and reject');
        }
        const call = new Call(this, 'incoming');
        call.session = sessionData;
        call.from = note.callNotificationParams.callerDisplayNumber;
        call.offer = text;
        this.calls.push(call);
        call.set('RINGING');
        this.queue(call, () => this.incoming(call));
    }

    // ---- Media ----

    async capture(video) {
        const stream = await navigator.mediaDevices.getUserMedia({
            audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
            video: video ? { width: 640, height: 360 } : false,
        });
        return stream;
    }

    async newConnection(call, video) {
        call.withVideo = video;
        call.stream = await this.capture(video);
        call.pc = new RTCPeerConnection({ iceServers: [], ...this.pcConfig() });
        call.mouth = new measure.Ear(call.stream.getAudioTracks()[0].clone(), this.voice.mark_hz);
        call.remote = new MediaStream();
        this.video.srcObject = call.remote;
        call.pc.ontrack = ({ track }) => {
            call.remote.addTrack(track);
            if (track.kind === 'audio') call.ear = new measure.Ear(track, this.remoteVoice.mark_hz);
        };
        if (this.readsKeys) call.keys = new measure.Keys(call.pc);
    }

    limitCodecs(pc) {
        if (!this.codec) return;
        const all = RTCRtpReceiver.getCapabilities('video').codecs;
        const wanted = all.filter(({ mimeType }) =>
            mimeType === `video/${this.codec}` || mimeType === 'video/rtx');
        for (const transceiver of pc.getTransceivers()) {
            if (transceiver.receiver.track.kind === 'video') transceiver.setCodecPreferences(wanted);
        }
    }

    /** All candidates, or what there is after three seconds (no trickle). */
    async gathered(pc) {
        if (pc.iceGatheringState !== 'complete') {
            await Promise.race([
                new Promise((resolve) => {
                    pc.addEventListener('icegatheringstatechange', () => {
                        if (pc.iceGatheringState === 'complete') resolve();
                    });
                }),
                measure.sleep(3000),
            ]);
        }
        return pc.localDescription.sdp;
    }

    async describe(call, kind) {
        const { pc } = call;
        const description = kind === 'offer' ? await pc.createOffer() : await pc.createAnswer();
        await pc.setLocalDescription({
            type: kind, sdp: this.localDescription(description.sdp),
        });
        return this.localDescription(await this.gathered(pc));
    }

    // ---- What a person does ----

    get call() {
        return this.calls[this.calls.length - 1];
    }

    /** Calls `to`; gives once the gateway has taken the call. */
    async make(to, { video = this.camera } = {}) {
        const call = new Call(this, 'outgoing');
        this.calls.push(call);
        call.set('INITIATING');
        await this.newConnection(call, video);
        this.prepareOffer(call, video);
        this.limitCodecs(call.pc);
        const offer = await this.describe(call, 'offer');
        call.answered = Promise.withResolvers();
        // Ending the call before anybody waits is no error.
        call.answered.promise.catch(() => {});
        const answer = call.answered.promise;
        const reply = await this.request('POST', `${this.base()}/callControl`, {
            callControlRequest: {
                type: 'callStart', from: `sip:${this.user}`, to: `sip:${to}`, sdp: offer,
            },
        }, this.callHeaders());
        call.session = reply.callControlResponse.sessionData;
        if (!call.session) throw new Error('no sessionData in the reply to callStart');
        call.set('INITIATED');
        const early = this.waiting.filter(({ note }) => note.sessionParams.sessionData === call.session);
        for (const { type, note } of early) this.dispatch(call, type, note);
        this.queue(call, async () => {
            // The call may be cancelled or rejected before it is answered.
            const text = await answer.catch(() => null);
            if (text === null) return;
            call.answered = null;
            await call.pc.setRemoteDescription({
                type: 'answer', sdp: this.remoteAnswer(text, { first: true, offer }),
            });
            this.establish(call);
        });
    }

    prepareOffer(call, video) {
        for (const track of call.stream.getTracks()) call.pc.addTrack(track, call.stream);
        if (!video && !this.soundOnly) call.pc.addTransceiver('video', { direction: 'recvonly' });
    }

    async answer({ video = this.camera } = {}) {
        const { call } = this;
        call.answeredAt = measure.wall();
        await this.queue(call, async () => {
            await this.newConnection(call, video);
            await call.pc.setRemoteDescription({
                type: 'offer', sdp: this.remoteOffer(call.offer, { first: true }),
            });
            for (const track of call.stream.getTracks()) call.pc.addTrack(track, call.stream);
            if (this.soundOnly) this.pictureLine(call).direction = 'inactive';
            this.limitCodecs(call.pc);
            const answer = await this.describe(call, 'answer');
            this.establish(call);
            await this.control(call, { type: 'callAnswer', sdp: answer });
        });
        if (call.failure) throw new Error(call.failure);
    }

    establish(call) {
        call.established = true;
        call.establishedAt = measure.wall();
        call.set('IN_CALL');
        const audit = () => this.control(call, { type: 'audit' }).catch((error) => {
            call.auditFailure = error.statusCode;
        });
        call.firstAudit = setTimeout(audit, 3000);
        call.auditTimer = setInterval(audit, 30000);
    }

    async reject() {
        const { call } = this;
        await this.request('POST', `${this.base()}/calldisposition`, {
            callDispositionRequest: { action: 'reject', sessionData: call.session },
        }, this.callHeaders());
        // Stays RINGING until `callEnd` comes.
    }

    async end() {
        const { call } = this;
        await this.request('DELETE',
            `${this.base()}/callControl/callSessions/${call.session}${this.endQuery()}`,
            this.endBody(), this.callHeaders());
        // A call that nobody answered waits for `callEnd`.
        if (call.established) call.finish('9901', 'Ended by local user');
    }

    // ---- Hold ----

    hold() { return this.update({ hold: true }); }

    unhold() { return this.update({ hold: false }); }

    async update({ hold }) {
        await this.offerAnew((call) => this.setDirections(call, hold), (call) => {
            call.localHold = hold;
            this.showHold(call);
        });
    }

    // ---- The camera in the middle of a call ----

    pictureLine(call) {
        return call.pc.getTransceivers().find(({ receiver }) => receiver.track.kind === 'video');
    }

    async startVideo() {
        const { call } = this;
        const camera = (await this.capture(true)).getVideoTracks()[0];
        call.stream.addTrack(camera);
        await this.offerAnew(async () => {
            call.withVideo = true;
            const line = this.pictureLine(call);
            if (!line) {
                call.pc.addTransceiver(camera, { streams: [call.stream] });
                return;
            }
            line.direction = 'sendrecv';
            await line.sender.replaceTrack(camera);
        });
    }

    async stopVideo() {
        await this.offerAnew(async (call) => {
            call.withVideo = false;
            const line = this.pictureLine(call);
            line.direction = 'recvonly';
            line.sender.track.stop();
            await line.sender.replaceTrack(null);
        });
    }

    /** Packets of its picture that left so far. */
    async pictureSent() {
        const stats = [...(await this.call.pc.getStats()).values()];
        return stats.filter(({ type, kind }) => type === 'outbound-rtp' && kind === 'video')
            .reduce((sum, { packetsSent }) => sum + packetsSent, 0);
    }

    /** `sendDTMF`: RFC 4733, as long a key as the SDKs press. */
    async sendKeys(keys) {
        const { call } = this;
        const sender = call.pc.getSenders().find(({ track }) => track?.kind === 'audio');
        sender.dtmf.insertDTMF(keys, 100, 70);
        await measure.until('the end of the keys', () => sender.dtmf.toneBuffer === '');
    }

    /** Offers after `change`; `done` once the answer is there. */
    async offerAnew(change, done = () => {}) {
        const { call } = this;
        await this.queue(call, async () => {
            await change(call);
            const offer = await this.describe(call, 'offer');
            call.answered = Promise.withResolvers();
            const answer = call.answered.promise;
            await this.control(call, { type: 'startCallUpdate', sdp: offer });
            const text = await answer;
            call.answered = null;
            await call.pc.setRemoteDescription({
                type: 'answer', sdp: this.remoteAnswer(text, { first: false, offer }),
            });
            done(call);
        });
        if (call.failure) throw new Error(call.failure);
    }

    setDirections(call, hold) { throw new Error('each generation has its own'); }

    showHold(call) {
        if (call.localHold) call.set('ON_HOLD');
        else if (call.remoteHold) call.set('ON_REMOTE_HOLD');
        else call.set('IN_CALL');
    }

    async takeUpdate(call, text) {
        await call.pc.setRemoteDescription({
            type: 'offer', sdp: this.remoteOffer(text, { first: false }),
        });
        const answer = await this.describe(call, 'answer');
        await this.control(call, { type: 'respondCallUpdate', sdp: answer });
        call.remoteHold = this.isHoldOffer(text);
        this.showHold(call);
    }

    // ---- What a test asks ----

    async waitState(state) {
        await measure.until(`state ${state}`, () => {
            const { call } = this;
            if (call?.over && state !== 'ENDED') {
                throw new Error(`the call ended: ${JSON.stringify(call.history.at(-1))} ${call.failure ?? ''}`);
            }
            return call?.state === state;
        });
        return this.summary();
    }

    summary() {
        const { call } = this;
        return {
            state: call.state,
            history: call.history,
            direction: call.direction,
            from: call.from ?? null,
            failure: call.failure ?? null,
            answered_at_ms: call.answeredAt ?? null,
            ice: call.pc?.iceConnectionState ?? null,
        };
    }

    /** The picture of the newest call, judged from now on. */
    watch(clock) {
        this.picture?.stop();
        this.picture = new measure.Picture(this.video, clock);
    }

    /** What the requests and notifications were, without their SDP. */
    story() {
        return this.log.map(({ method, path, status, notification, body, note }) => {
            if (notification) return `<- ${notification} ${note.sessionParams?.statusCode ?? ''}`;
            const type = body?.callControlRequest?.type ?? '';
            return `-> ${method} ${path.split('/user/')[1]} ${type} ${status}`;
        });
    }
}

window.peers = {};
