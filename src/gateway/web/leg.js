/**
 * One leg of a call on the wire (protocol sections 5 and 6). Carries SDP as
 * opaque text; media is the business of `media.js`.
 */

import { RequestError } from "./rest.js";

/** Milliseconds between two audits (protocol section 5.9: 25 to 30 s). */
const AUDIT_INTERVAL = 25_000;
/**
 * Milliseconds between two looks at a call that rings here. They find a call whose
 * end was not told, and keep a connection open for the answer: the station closes
 * one that is idle for 10 s, and a new one costs a TLS handshake.
 */
const RINGING_INTERVAL = 8_000;

/** @typedef {{address: string, name: string}} Peer the other party */

/**
 * Events, with what `detail` holds:
 * - `ringing` it rings at the other side
 * - `answered` {sdp} the other side took our call
 * - `offer` {sdp} the other side changes the call; reply with `respond`
 * - `over` {by: "peer"|"elsewhere"|"lost", code: string, text: string}
 */
export class Leg extends EventTarget {
  #rest;
  #path;
  /** Audits while it is answered, looks while it rings here. */
  #timer = 0;
  #answered = false;
  #over = false;

  /**
   * @param {import("./rest.js").Rest} rest
   * @param {string} user path of the own user, from `userPath`
   * @param {string} id `sessionData`, used in paths exactly as received
   * @param {Peer} peer
   * @param {string} [offer] SDP of an incoming call
   */
  constructor(rest, user, id, peer, offer) {
    super();
    this.#rest = rest;
    this.#path = `${user}/callControl/callSessions/${id}`;
    this.user = user;
    this.id = id;
    this.peer = peer;
    this.offer = offer;
  }

  get incoming() {
    return this.offer !== undefined;
  }

  /** Somebody took the call. */
  get answered() {
    return this.#answered;
  }

  get over() {
    return this.#over;
  }

  /** Tells the caller that it rings here. */
  async ring() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.check(), RINGING_INTERVAL);
    await this.#put({ type: "ringing" });
  }

  /** Takes the call. @param {string} sdp our answer */
  async answer(sdp) {
    this.#established();
    await this.#put({ type: "callAnswer", sdp });
  }

  /** Replies to an `offer` event. @param {string} sdp our answer */
  async respond(sdp) {
    await this.#put({ type: "respondCallUpdate", sdp });
  }

  /** Turns an incoming call down. */
  async reject() {
    this.#finish();
    const callDispositionRequest = { action: "reject", sessionData: this.id };
    await this.#rest.request("POST", `${this.user}/calldisposition`, { callDispositionRequest });
  }

  /**
   * Ends or cancels the call.
   * @param {string} reason told to the other side
   * @param {{last?: boolean}} [options] the page is going away
   */
  async end(reason, options) {
    this.#finish();
    const path = `${this.#path}?reasonText=${encodeURIComponent(reason)}`;
    await this.#rest.request("DELETE", path, {}, options);
  }

  /** Cares for it no longer, without a word. */
  forget() {
    clearInterval(this.#timer);
  }

  /** Asks whether the call still exists, after notifications may have been lost. */
  async check() {
    try {
      const reply = await this.#rest.request("GET", this.#path);
      const taken = reply.callControlResponse?.state === "ANSWERED" && this.incoming && !this.#answered;
      if (taken) this.#lose("elsewhere");
    } catch (error) {
      if (error instanceof RequestError && error.gone) this.#lose("lost");
    }
  }

  /**
   * Takes one notification of this leg.
   * @param {string} type `eventType`
   * @param {{sdp?: string, statusCode?: string, reasonText?: string}} session `sessionParams`
   */
  notify(type, session) {
    if (this.#over) return;
    switch (type) {
      case "ringing":
        this.#emit("ringing");
        break;
      case "respondCallUpdate":
        if (this.#answered || this.incoming || !session.sdp) break;
        this.#established();
        this.#emit("answered", { sdp: session.sdp });
        break;
      case "startCallUpdate":
        if (session.sdp) this.#emit("offer", { sdp: session.sdp });
        break;
      case "callEnd":
        this.#finish();
        this.#emit("over", {
          by: "peer",
          code: String(session.statusCode ?? ""),
          text: String(session.reasonText ?? ""),
        });
        break;
      case "callCancel":
        if (!this.#answered) this.#lose("elsewhere");
        break;
      default: // Early media, trickle and transfer are not for this page.
    }
  }

  #established() {
    this.#answered = true;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#audit(), AUDIT_INTERVAL);
  }

  async #audit() {
    try {
      await this.#put({ type: "audit" });
    } catch (error) {
      if (error instanceof RequestError && error.gone) this.#lose("lost");
    }
  }

  #lose(by) {
    if (this.#over) return;
    this.#finish();
    this.#emit("over", { by, code: "", text: "" });
  }

  #finish() {
    this.#over = true;
    clearInterval(this.#timer);
    this.dispatchEvent(new Event("finished"));
  }

  #put(callControlRequest) {
    return this.#rest.request("PUT", this.#path, { callControlRequest });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
