// The person indoors in a bench: answers one call and measures what comes. Stands on
// `session.js` and `measure.js` of tests/browser.
'use strict';

/** A session that looks at the picture's clock and listens to both voices. */
async function indoors({ clock, door, page }) {
    const session = new Session({ generation: 5 });
    session.stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    const [microphone] = session.stream.getAudioTracks();
    session.copy = microphone.clone();
    session.mouth = new measure.Ear(session.copy, page.mark_hz);
    session.picture = new measure.Picture(session.video, clock);
    const show = session.pc.ontrack;
    session.pc.ontrack = (event) => {
        show(event);
        if (event.track.kind !== 'audio') return;
        session.ear = new measure.Ear(event.track, door.mark_hz, door.hum_hz);
    };
    return session;
}

/** What was measured since the latest report. */
async function report(session) {
    return {
        wall_ms: measure.wall(),
        decoded: await measure.decodedFrames(session.pc),
        picture: session.picture.report({ reset: true }),
        ear: session.ear?.report() ?? null,
        mouth: session.mouth.report(),
    };
}

function end(session) {
    session.picture.stop();
    session.mouth.stop();
    session.ear?.stop();
    // Chromium opens some sixteen microphones, and gives one back when it is stopped.
    session.copy.stop();
    session.close();
}

Object.assign(window, { indoors, report, end });
