/** From what is going on to what the screen says. Pure. */

import { duration, moment, word } from "./words.js";

/**
 * @param {object} now
 * @param {boolean} now.login nobody is signed in
 * @param {{door: {address: string, name: string}, demo: boolean}|null} now.station
 * @param {import("./call.js").Call|null} now.call
 * @param {boolean} now.online
 * @param {boolean} now.unreachable
 * @param {import("./store.js").Message|null} now.last how the last call ended
 * @param {import("./store.js").Message|undefined} now.newest last incoming call of all
 * @param {string} now.bellError
 * @param {{visible: boolean, hasStill: boolean}} now.picture
 * @returns {import("./view.js").Screen}
 */
export function describe(now) {
  const { call, station, picture } = now;
  const state = stateOf(now);
  const quiet = state === "idle" || state === "unreachable";
  return {
    state,
    ...statusOf(state, now),
    title: call?.peer.name ?? station?.door.name ?? word("title"),
    ...(quiet ? memory(now) : { outcome: "", more: "" }),
    picture: (state === "talking" || state === "held") && picture.visible,
    still: quiet && picture.hasStill,
    cameraChoice: state === "idle" || (state === "ringing" && call.takesVideo),
    bell: state === "idle" && station?.demo === true,
    muted: call !== null && (call.media.muted || call.media.microphone === "refused"),
    ownCamera: call?.media.camera === "live",
    cameraPaused: call?.media.cameraPaused === true,
    ready: now.online,
  };
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

function talking({ state, muted, microphone }) {
  if (state === "new") return { sign: "voice", status: word("connectingMedia") };
  if (state === "unstable") return { sign: "fault", status: word("unstable") };
  if (microphone === "refused") return { sign: "voice", status: word("noMicrophoneCall") };
  if (muted) return { sign: "voice", status: word("listening") };
  if (microphone === "waiting") return { sign: "voice", status: word("waitingMicrophone") };
  return { sign: "voice", status: word("talkNow") };
}

/** What the quiet screen remembers: the call just over, else the last visitor. */
function memory({ last, newest, unreachable, bellError }) {
  if (bellError) return { outcome: bellError, more: "" };
  if (unreachable) return { outcome: "", more: word("unreachableHint") };
  if (last) {
    const talked = last.seconds ? word("talked", { time: duration(last.seconds) }) : "";
    const missed = last.kind === "missed";
    return {
      outcome: missed ? word("lastMissed", { moment: moment(last.time) }) : word(last.reason, last),
      more: missed ? word(last.reason) : talked,
    };
  }
  if (!newest) return { outcome: "", more: word("nobody") };
  const key = newest.kind === "missed" ? "lastMissed" : "lastVisitor";
  return { outcome: "", more: word(key, { moment: moment(newest.time) }) };
}
