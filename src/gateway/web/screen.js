/** From what is going on to what the screen says. Pure. */

import { duration, moment, word } from "./words.js";

/**
 * @param {object} now
 * @param {boolean} now.login nobody is signed in
 * @param {{door: {address: string, name: string}, demo: boolean}|null} now.station
 * @param {import("./call.js").Call|null} now.call
 * @param {boolean} now.online
 * @param {boolean} now.ready calls can be made
 * @param {boolean} now.unreachable
 * @param {import("./store.js").Message|null} now.last how the last call ended
 * @param {import("./store.js").Message|undefined} now.newest last visitor of all
 * @param {string} now.bellError
 * @param {{open: boolean, sentence: string}} now.door what became of the wish to open it
 * @param {{visible: boolean, stillTime: number}} now.picture
 * @returns {import("./view.js").Screen}
 */
export function describe(now) {
  const { call, station, picture } = now;
  const state = stateOf(now);
  const quiet = state === "idle" || state === "unreachable";
  return {
    state,
    ...statusOf(state, now),
    ...opening(state, now),
    mayOpen: Boolean(station?.openToken),
    open: now.door?.open === true,
    title: call?.peer.name ?? station?.door.name ?? word("title"),
    ...(quiet ? memory(now) : { outcome: "", more: "" }),
    picture: (state === "talking" || state === "held") && picture.visible,
    still: quiet && picture.stillTime ? word("pictureOf", { moment: moment(picture.stillTime) }) : "",
    cameraChoice: state === "idle" || (state === "ringing" && call.takesVideo),
    bell: state === "idle" && station?.demo === true,
    muted: call !== null && (call.media.muted || call.media.unheard),
    ownCamera: call?.media.camera === "live",
    cameraPaused: call?.media.cameraPaused === true,
    ready: now.ready,
  };
}

/** The door goes before all else: it is open for seconds. */
function opening(state, { door }) {
  if (state === "login" || !door?.sentence) return {};
  return { sign: door.open ? "open" : "fault", status: door.sentence };
}

function stateOf({ login, call, unreachable }) {
  if (login) return "login";
  if (call) return call.phase;
  return unreachable ? "unreachable" : "idle";
}

function statusOf(state, { call, station, online }) {
  const door = call?.peer.address === station?.door.address;
  switch (state) {
    case "login":
      return { sign: "idle", status: "" };
    case "unreachable":
      return { sign: "fault", status: word("unreachable") };
    case "calling":
      if (!call.ringsThere) return { sign: "bell", status: word("calling") };
      return { sign: "bell", status: word(door ? "ringsThere" : "ringsTherePeer") };
    case "ringing":
      return { sign: "bell", status: door ? word("ringingDoor") : word("ringingPeer", call.peer) };
    case "held":
      return { sign: "pause", status: word("held") };
    case "talking":
      return talking(call.media);
    default:
      return { sign: "idle", status: word(online ? "ready" : "connecting") };
  }
}

function talking({ state, muted, microphone, unheard }) {
  if (state === "new") return { sign: "voice", status: word("connectingMedia") };
  if (state === "unstable") return { sign: "fault", status: word("unstable") };
  if (unheard) return { sign: "voice", status: word("noMicrophoneCall") };
  if (muted) return { sign: "voice", status: word("listening") };
  if (microphone === "waiting") return { sign: "voice", status: word("waitingMicrophone") };
  return { sign: "voice", status: word("talkNow") };
}

/** What the quiet screen remembers: the call just over, else the last visitor. */
function memory({ station, last, newest, unreachable, bellError, picture }) {
  if (bellError) return { outcome: bellError, more: "" };
  if (unreachable) return { outcome: "", more: word("unreachableHint") };
  if (last) {
    const talked = last.seconds ? word("talked", { time: duration(last.seconds) }) : "";
    const missed = last.kind === "missed";
    return {
      outcome: missed ? missedSentence(last, station) : word(last.reason, last),
      more: missed ? word(last.reason) : talked,
    };
  }
  // A browser that is new here knows of no call, and the station of a visitor.
  if (!newest) return { outcome: "", more: picture.stillTime ? "" : word("nobody") };
  if (newest.kind === "missed") return { outcome: "", more: missedSentence(newest, station) };
  return { outcome: "", more: word("lastVisitor", { moment: moment(newest.time) }) };
}

function missedSentence(message, station) {
  const key = message.name === station?.door.name ? "lastMissed" : "missedCall";
  return word(key, { name: message.name, moment: moment(message.time) });
}
