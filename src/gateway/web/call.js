/**
 * One call: its leg on the wire and its media, from the first ring to the
 * reason why it is over. The screen shows `phase`; nothing here touches it.
 *
 *   calling --answered--> talking <--offers--> held
 *   ringing --answer()--> talking              |
 *      '--------'-------------'----------------'---> over
 */

import { Media, isHeld, wantsVideo } from "./media.js";
import { RequestError } from "./rest.js";

/**
 * @typedef {object} Outcome
 * @property {"ended"|"missed"|"rejected"|"elsewhere"|"cancelled"|"failed"} kind
 * @property {string} reason key of the sentence in `words/`
 * @property {string} code SIP or HTTP code for support, may be empty
 * @property {string} text what the server said, may be empty
 */

/** SIP codes of `callEnd` (protocol section 6.5) as keys of sentences. */
const REASONS = { 404: "unknown", 480: "noAnswer", 486: "busy", 487: "cancelled", 603: "declined" };

/**
 * Events:
 * - `change` phase, ringing or media is different now
 * - `over` {outcome} once, last
 */
export class Call extends EventTarget {
  /** @type {"calling"|"ringing"|"talking"|"held"|"over"} */
  phase;
  /** It rings at the other side. */
  ringsThere = false;
  /** Milliseconds since the epoch; 0 while not answered. */
  answeredAt = 0;
  startedAt = Date.now();
  /** @type {Outcome|null} */
  outcome = null;

  #leg = null;
  #media;
  #prepared = Promise.resolve();
  /** Offers of the other side are answered one after the other. */
  #updates = Promise.resolve();

  /** @param {import("./leg.js").Peer} peer @param {RTCIceServer[]} iceServers */
  constructor(peer, iceServers) {
    super();
    this.peer = peer;
    this.#media = new Media(iceServers);
    this.#media.addEventListener("change", () => this.#change());
    this.#media.addEventListener("failed", () => this.#fail("noMedia"));
  }

  /**
   * Calls somebody.
   * @param {import("./kandy.js").KandyClient} client
   * @param {import("./leg.js").Peer} peer
   * @param {{microphone: boolean, camera: boolean}} send
   * @param {RTCIceServer[]} iceServers
   */
  static place(client, peer, send, iceServers) {
    const call = new Call(peer, iceServers);
    call.phase = "calling";
    call.#place(client, send);
    return call;
  }

  /**
   * Wraps an incoming leg; prepares the connection so that an answer is quick.
   * @param {import("./leg.js").Leg} leg
   * @param {RTCIceServer[]} iceServers
   */
  static receive(leg, iceServers) {
    const call = new Call(leg.peer, iceServers);
    call.phase = "ringing";
    call.#attach(leg);
    call.#prepared = call.#media.takeOffer(leg.offer);
    call.#prepared.catch(() => {}); // `answer` meets the error and tells it.
    return call;
  }

  get incoming() {
    return this.#leg?.incoming === true;
  }

  /** The other side can show our picture. */
  get takesVideo() {
    return this.incoming && wantsVideo(this.#leg.offer);
  }

  get media() {
    return this.#media;
  }

  /** Seconds since the answer. */
  get seconds() {
    return this.answeredAt ? Math.round((Date.now() - this.answeredAt) / 1000) : 0;
  }

  /** Takes the incoming call. @param {{camera: boolean}} send */
  async answer({ camera }) {
    if (this.phase !== "ringing") return;
    this.#establish();
    let sdp;
    try {
      await this.#prepared;
      sdp = await this.#media.answer({ microphone: true, camera: camera && this.takesVideo });
    } catch {
      this.#fail("badOffer");
      return;
    }
    try {
      await this.#leg.answer(sdp);
    } catch (error) {
      // Somebody else was quicker, or the caller has just gone.
      if (error.gone) this.#finish({ kind: "elsewhere", reason: "elsewhere" });
      else this.#fail("station", error);
    }
  }

  /** Turns the incoming call down. */
  reject() {
    if (this.phase !== "ringing") return;
    this.#leg.reject().catch(() => {});
    this.#finish({ kind: "rejected", reason: "rejected" });
  }

  /** Ends the call, whatever its phase. */
  end() {
    if (this.phase === "over") return;
    if (this.phase === "ringing") {
      this.reject();
      return;
    }
    const cancelled = this.phase === "calling";
    this.#hangUp("Ended by local user");
    this.#finish(cancelled
      ? { kind: "cancelled", reason: "youCancelled" }
      : { kind: "ended", reason: "youEnded" });
  }

  async #place(client, send) {
    let leg;
    try {
      const sdp = await this.#media.offer(send);
      if (this.phase === "over") return;
      leg = await client.call(this.peer, sdp);
    } catch (error) {
      if (this.phase !== "over") this.#fail(error instanceof RequestError ? "station" : "noOffer", error);
      return;
    }
    if (this.phase === "over") {
      // Ended while the request was on its way.
      leg.end("Ended by local user").catch(() => {});
      return;
    }
    this.#attach(leg);
    this.#change();
  }

  #attach(leg) {
    this.#leg = leg;
    leg.addEventListener("ringing", () => {
      this.ringsThere = true;
      this.#change();
    });
    leg.addEventListener("answered", (event) => this.#answered(event.detail.sdp));
    leg.addEventListener("offer", (event) => {
      this.#updates = this.#updates.then(() => this.#update(event.detail.sdp));
    });
    leg.addEventListener("over", (event) => this.#overByPeer(event.detail));
  }

  async #answered(sdp) {
    if (this.phase !== "calling") return;
    this.#establish();
    try {
      await this.#media.takeAnswer(sdp);
    } catch {
      this.#fail("badAnswer");
    }
  }

  async #update(sdp) {
    if (this.phase !== "talking" && this.phase !== "held") return;
    try {
      const answer = await this.#media.update(sdp);
      await this.#leg.respond(answer);
    } catch {
      this.#fail("badOffer");
      return;
    }
    if (this.phase === "over") return;
    this.phase = isHeld(sdp) ? "held" : "talking";
    this.#change();
  }

  #overByPeer({ by, code, text }) {
    const answered = this.answeredAt > 0;
    if (by === "elsewhere") this.#finish({ kind: "elsewhere", reason: "elsewhere" });
    else if (by === "lost") this.#finish({ kind: answered ? "ended" : "failed", reason: "lost" });
    else if (answered) this.#finish({ kind: "ended", reason: "theyEnded", text });
    else if (this.incoming) {
      const elsewhere = code === "603";
      this.#finish({
        kind: elsewhere ? "rejected" : "missed",
        reason: elsewhere ? "rejectedElsewhere" : "missed",
      });
    } else {
      const offline = code === "480" && !this.ringsThere;
      this.#finish({ kind: "failed", reason: offline ? "offline" : REASONS[code] ?? "other", code, text });
    }
  }

  #establish() {
    this.answeredAt = Date.now();
    this.phase = "talking";
    this.#change();
  }

  #fail(reason, error) {
    if (this.phase === "over") return;
    this.#hangUp("Media failed");
    const code = error instanceof RequestError ? String(error.code || error.status || "") : "";
    this.#finish({ kind: "failed", reason, code });
  }

  #hangUp(reason) {
    if (this.#leg && !this.#leg.over) this.#leg.end(reason).catch(() => {});
  }

  #finish(outcome) {
    if (this.phase === "over") return;
    this.phase = "over";
    this.outcome = { code: "", text: "", ...outcome };
    this.#media.close();
    this.dispatchEvent(new CustomEvent("over", { detail: { outcome: this.outcome } }));
  }

  #change() {
    if (this.phase !== "over") this.dispatchEvent(new Event("change"));
  }
}
