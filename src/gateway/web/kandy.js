/**
 * A Kandy Link client: subscription, notification channel, calls (protocol
 * sections 3 to 6). Pure protocol: no media, no screen.
 *
 *   start() -> subscribe -> socket -> online
 *                 ^            | lost: same channel again, with back-off
 *                 '---- gone --'
 */

import { Leg } from "./leg.js";
import { RequestError, userPath } from "./rest.js";

/** Seconds asked for; the server may grant less (protocol section 3.1). */
const EXPIRES = 3600;
/** Milliseconds between two pings, and the time a socket may take to open (protocol section 4). */
const PING_INTERVAL = 30_000;
const OPEN_LIMIT = 10_000;
/** Renewals are never closer than this, in milliseconds (protocol section 3.2). */
const RENEW_LEAST = 30_000;
/** Back-off between attempts, in milliseconds. */
const RETRY_FIRST = 1_000;
const RETRY_MOST = 30_000;
/** Event ids remembered to drop repeats (protocol section 6.1: at least 100). */
const REMEMBERED_EVENTS = 200;
/** Notifications kept for a call whose `callStart` reply is still on its way. */
const EARLY_MOST = 32;

/** @typedef {{path: string, channel: string, expires: number}} Subscription */

/**
 * Events, with what `detail` holds:
 * - `online`, `offline` the station can or cannot reach us; retries go on by themselves
 * - `refused` the credentials are wrong; the client has stopped
 * - `incoming` {leg}
 */
export class KandyClient extends EventTarget {
  #rest;
  #address;
  #user;
  #probe;
  /** @type {Subscription|null} */
  #subscription = null;
  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {Map<string, Leg>} */
  #legs = new Map();
  #seen = new Set();
  #early = [];
  #starting = 0;
  #online = null;
  #renewTimer = 0;
  #running = null;
  #hurry = () => {};

  /**
   * @param {import("./rest.js").Rest} rest with the credentials of `address`
   * @param {string} address own address, `alice@demo.local`
   * @param {() => Promise<unknown>} [probe] fails when the station is out of reach; finds
   *   sockets that died without a word
   */
  constructor(rest, address, probe = async () => {}) {
    super();
    this.#rest = rest;
    this.#address = address;
    this.#user = userPath(address);
    this.#probe = probe;
  }

  get online() {
    return this.#online === true;
  }

  /** Connects, and stays connected until `stop`. */
  start() {
    if (this.#running) return;
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  /** Tries again at once, e.g. when the device has its network back. */
  wake() {
    this.#hurry();
  }

  /**
   * Ends its calls, unsubscribes and closes the socket.
   * @param {{last?: boolean}} [options] the page is going away
   */
  async stop(options) {
    if (!this.#running) return;
    this.#running.abort();
    this.#running = null;
    this.#hurry();
    clearTimeout(this.#renewTimer);
    const farewells = [];
    for (const leg of this.#legs.values()) {
      // A call that only rings here goes on ringing elsewhere.
      if (leg.incoming && !leg.answered) leg.forget();
      else farewells.push(leg.end("Ended by local user", options));
    }
    if (this.#subscription) {
      farewells.push(this.#rest.request("DELETE", this.#subscription.path, undefined, options));
    }
    this.#subscription = null;
    this.#socket?.close(1000);
    this.#socket = null;
    this.#online = null;
    await Promise.allSettled(farewells);
  }

  /**
   * Calls somebody.
   * @param {import("./leg.js").Peer} peer
   * @param {string} sdp the offer
   * @returns {Promise<Leg>}
   * @throws {RequestError}
   */
  async call(peer, sdp) {
    this.#starting += 1;
    try {
      const reply = await this.#rest.request("POST", `${this.#user}/callControl`, {
        callControlRequest: {
          type: "callStart",
          from: `sip:${this.#address}`,
          to: `sip:${peer.address}`,
          sdp,
        },
      });
      const id = reply.callControlResponse?.sessionData;
      if (typeof id !== "string" || id === "") throw new RequestError(0);
      const leg = this.#add(new Leg(this.#rest, this.#user, id, peer));
      // The listeners of the caller of this function come first.
      setTimeout(() => this.#deliverEarly(leg));
      return leg;
    } finally {
      this.#starting -= 1;
    }
  }

  async #run(signal) {
    let attempt = 0;
    while (!signal.aborted) {
      let wait = 0;
      try {
        if (!this.#subscription) await this.#subscribe(signal);
        await this.#listen(signal, () => (attempt = 0));
      } catch (error) {
        if (signal.aborted) return;
        if (error.needsLogin) {
          this.#running = null;
          this.#emit("refused");
          return;
        }
        if (error.gone) this.#forget();
        wait = (error.retryAfter ?? 0) * 1000;
      }
      if (signal.aborted) return;
      this.#setOnline(false);
      attempt += 1;
      await this.#pause(Math.max(wait, backoff(attempt)));
    }
  }

  async #subscribe(signal) {
    const reply = await this.#rest.request("POST", `${this.#user}/subscription`, {
      subscribeRequest: { ...subscribeRequest(), supported: ["RingingFeedback"] },
    });
    const { subscription: path, subscriptionParams: granted } = reply.subscribeResponse ?? {};
    const channel = granted?.notificationChannel;
    if (typeof path !== "string" || typeof channel !== "string") throw new RequestError(0);
    if (signal.aborted) {
      this.#rest.request("DELETE", path).catch(() => {});
      return;
    }
    this.#subscription = { path, channel, expires: Number(granted.expires) || EXPIRES };
    this.#renewIn(1);
  }

  /** The subscription is no more: the next attempt makes a new one. */
  #forget() {
    clearTimeout(this.#renewTimer);
    this.#subscription = null;
    this.#socket?.close();
  }

  #renewIn(attempt) {
    clearTimeout(this.#renewTimer);
    const delay = Math.max(RENEW_LEAST, (this.#subscription.expires * 1000) / 2 ** attempt);
    this.#renewTimer = setTimeout(async () => {
      try {
        await this.#renew();
        if (this.#subscription) this.#renewIn(1);
      } catch (error) {
        if (error.gone || error.needsLogin) this.#forget();
        else if (this.#subscription) this.#renewIn(attempt + 1);
      }
    }, delay);
  }

  async #renew() {
    if (!this.#subscription) return;
    const reply = await this.#rest.request("PUT", this.#subscription.path, {
      subscribeRequest: subscribeRequest(),
    });
    const expires = Number(reply.subscribeResponse?.subscriptionParams?.expires);
    if (this.#subscription && expires > 0) this.#subscription.expires = expires;
  }

  /** Listens on the channel until the socket is gone. */
  async #listen(signal, opened) {
    if (signal.aborted) return;
    const url = new URL(this.#subscription.channel, this.#rest.origin);
    if (url.origin !== this.#rest.origin) throw new RequestError(404);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    const limit = setTimeout(() => socket.close(), OPEN_LIMIT);
    let pings = 0;
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      clearTimeout(limit);
      opened();
      ping(socket);
      pings = setInterval(() => this.#keepAlive(socket), PING_INTERVAL);
      this.#setOnline(true);
      for (const leg of this.#legs.values()) leg.check();
    };
    socket.onmessage = (message) => this.#receive(message.data);
    const close = await new Promise((resolve) => {
      socket.onclose = resolve;
      // A half-open socket may take minutes to close by itself.
      socket.addEventListener("dead", () => resolve({ code: 0 }), { once: true });
    });
    clearTimeout(limit);
    clearInterval(pings);
    socket.onmessage = null;
    if (signal.aborted || this.#socket !== socket) return;
    this.#socket = null;
    // 1000 means: do not come back to this channel (protocol section 4.1).
    if (close.code === 1000) this.#forget();
    // The browser hides why an upgrade failed; a renewal tells.
    else if (!wasOpen) await this.#renew();
  }

  async #keepAlive(socket) {
    ping(socket);
    try {
      await this.#probe();
    } catch (error) {
      if (error.needsLogin || this.#socket !== socket) return;
      socket.close();
      socket.dispatchEvent(new Event("dead"));
    }
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text)?.notificationMessage;
    } catch {
      return;
    }
    if (!message || typeof message.eventType !== "string") return;
    if (this.#seen.has(message.eventId)) return;
    this.#seen.add(message.eventId);
    if (this.#seen.size > REMEMBERED_EVENTS) this.#seen.delete(this.#seen.values().next().value);
    if (message.eventType === "gone") {
      this.#forget();
      return;
    }
    const session = message.sessionParams ?? message.callDispositionParams;
    if (typeof session?.sessionData !== "string") return;
    if (message.eventType === "call") this.#incoming(message, session);
    else this.#dispatch(message.eventType, session);
  }

  #dispatch(type, session) {
    const leg = this.#legs.get(session.sessionData);
    if (leg) leg.notify(type, session);
    else if (this.#starting > 0 && this.#early.length < EARLY_MOST) this.#early.push([type, session]);
  }

  #deliverEarly(leg) {
    const mine = this.#early.filter(([, session]) => session.sessionData === leg.id);
    this.#early = this.#starting > 0 ? this.#early.filter((entry) => !mine.includes(entry)) : [];
    for (const [type, session] of mine) leg.notify(type, session);
  }

  #incoming(message, session) {
    // A call without an offer asks us to make one; this page does not (protocol section 5.7).
    if (this.#legs.has(session.sessionData) || typeof session.sdp !== "string") return;
    const from = message.callNotificationParams ?? {};
    const address = String(from.callerDisplayNumber ?? from.remoteDisplayNumber ?? "");
    const peer = { address, name: String(from.callerName || from.remoteName || address) };
    const leg = this.#add(new Leg(this.#rest, this.#user, session.sessionData, peer, session.sdp));
    leg.ring().catch(() => {});
    this.#emit("incoming", { leg });
  }

  #add(leg) {
    this.#legs.set(leg.id, leg);
    leg.addEventListener("finished", () => this.#legs.delete(leg.id), { once: true });
    return leg;
  }

  #setOnline(online) {
    if (this.#online === online) return;
    this.#online = online;
    this.#emit(online ? "online" : "offline");
  }

  #pause(delay) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delay);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function subscribeRequest() {
  return {
    expires: EXPIRES,
    service: ["call"],
    localization: "English_US",
    useTurn: true,
    notificationType: "WebSocket",
  };
}

function ping(socket) {
  if (socket.readyState === WebSocket.OPEN) socket.send('{"message_type":"ping"}');
}

/** Exponential with jitter: half of the step is certain, half is chance. */
function backoff(attempt) {
  const step = Math.min(RETRY_MOST, RETRY_FIRST * 2 ** (attempt - 1));
  return step / 2 + (Math.random() * step) / 2;
}
