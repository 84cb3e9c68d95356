/** What cannot work on this device, said before it is needed, with the cure. */

/**
 * @typedef {object} Notice
 * @property {string} text key of the sentence
 * @property {string} [action] key of the word on the button
 * @property {"secure"|"microphone"|"sound"} [cure] what the button does
 */

/** Follows the permission for the microphone. Emits `change`. */
export class Permissions extends EventTarget {
  /** "granted", "denied", "prompt", or "" where the browser does not tell. */
  microphone = "";

  async watch() {
    try {
      const status = await navigator.permissions.query({ name: "microphone" });
      const update = () => {
        this.microphone = status.state;
        this.dispatchEvent(new Event("change"));
      };
      status.onchange = update;
      update();
    } catch {
      // Not every browser lets a page ask.
    }
  }

  /** Opens the microphone for a moment, so that the browser asks now. */
  async ask() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      for (const track of stream.getTracks()) track.stop();
      this.microphone = "granted";
    } catch (error) {
      if (error.name === "NotAllowedError") this.microphone = "denied";
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** This browser has what a call needs. */
export function canCall() {
  return typeof RTCPeerConnection !== "undefined";
}

/**
 * The one thing that most needs saying, or null. One at a time keeps the page quiet.
 * @param {{microphone: string, sound: boolean, inCall: boolean}} now
 * @returns {Notice|null}
 */
export function firstNotice({ microphone, sound, inCall }) {
  if (!canCall()) return { text: "noticeNoCalls" };
  if (!sound) return { text: "noticeSound", action: "soundOn", cure: "sound" };
  if (!window.isSecureContext || !navigator.mediaDevices) {
    return { text: "noticeInsecure", action: "openSecure", cure: "secure" };
  }
  if (microphone === "missing") return { text: "noticeMicrophoneMissing" };
  if (microphone === "denied" || microphone === "refused") return { text: "noticeMicrophoneDenied" };
  if (microphone === "prompt" && !inCall) {
    return { text: "noticeMicrophoneAsk", action: "allow", cure: "microphone" };
  }
  return null;
}
