/**
 * Checks of the page's modules that need no station: each story runs against a
 * scripted server (`fetch` and `WebSocket` of the scripted kind). Timers run on
 * the browser's virtual time, so half an hour takes no time.
 */

import { HOLD, onHold } from "../../src/gateway/web/hold.js";
import { KandyClient } from "../../src/gateway/web/kandy.js";
import { isHeld, wantsVideo } from "../../src/gateway/web/media.js";
import { RequestError, Rest, userPath } from "../../src/gateway/web/rest.js";
import { describe } from "../../src/gateway/web/screen.js";
import { synthesise } from "../../src/gateway/web/sound.js";
import { Messages } from "../../src/gateway/web/store.js";
import { Visitors } from "../../src/gateway/web/visitors.js";
import de from "../../src/gateway/web/words/de.js";
import en from "../../src/gateway/web/words/en.js";

const ORIGIN = "https://station.test";
const ALICE = "/rest/version/1/user/alice@demo.local";
const CHANNEL = "/notification/websocket/S1";

// --- a scripted station -------------------------------------------------------

class Station {
  /** `METHOD path` and body of every request, in order. */
  requests = [];
  sockets = [];
  /** Replies that differ from 200: `METHOD path` -> {status, body}. */
  replies = {};
  refuseSockets = false;
  #event = 0;

  constructor() {
    globalThis.fetch = (url, options) => this.#fetch(url, options);
    globalThis.WebSocket = scriptedSocket(this);
  }

  asked(start) {
    return this.requests.filter((request) => request.what.startsWith(start));
  }

  notify(eventType, session, more = {}) {
    this.#event += 1;
    this.send({
      notificationMessage: {
        eventType,
        eventId: `e${this.#event}`,
        callNotificationParams: { callerDisplayNumber: "door@demo.local", callerName: "Door" },
        sessionParams: session,
        ...more,
      },
    });
  }

  send(message) {
    this.sockets.at(-1).onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  async #fetch(url, { method, body, headers, credentials }) {
    const what = `${method} ${url.pathname}${url.search}`;
    this.requests.push({ what, body: body && JSON.parse(body), headers, credentials });
    await turn();
    const reply = this.replies[what] ?? this.#usual(method, url.pathname);
    if (reply.status === 0) throw new TypeError("no network");
    return new Response(JSON.stringify(reply.body ?? {}), { status: reply.status ?? 200 });
  }

  #usual(method, path) {
    if (path.includes("/subscription")) {
      return {
        body: {
          subscribeResponse: {
            statusCode: 0,
            subscription: `${ALICE}/subscription/S1`,
            subscriptionParams: { expires: 3600, service: ["call"], notificationChannel: CHANNEL },
          },
        },
      };
    }
    const sessionData = method === "POST" ? { sessionData: "LA" } : {};
    return { body: { callControlResponse: { statusCode: 0, ...sessionData } } };
  }
}

function scriptedSocket(station) {
  return class extends EventTarget {
    static OPEN = 1;
    readyState = 0;
    sent = [];
    constructor(url) {
      super();
      this.url = String(url);
      station.sockets.push(this);
      setTimeout(() => {
        if (station.refuseSockets) return this.close();
        this.readyState = 1;
        this.onopen();
      });
    }
    send(text) {
      this.sent.push(text);
    }
    close(code = 1005) {
      if (this.readyState === 3) return;
      this.readyState = 3;
      setTimeout(() => this.onclose({ code }));
    }
  };
}

async function connected(probe) {
  const station = new Station();
  const client = new KandyClient(new Rest("alice@demo.local", "grüße", ORIGIN), "alice@demo.local", probe);
  const events = [];
  for (const type of ["online", "offline", "refused", "incoming"]) {
    client.addEventListener(type, (event) => events.push([type, event.detail]));
  }
  client.start();
  await until(() => station.sockets.length > 0 && events.length > 0);
  return { station, client, events };
}

// --- the stories --------------------------------------------------------------

const stories = {
  async "a client subscribes, opens its channel and pings at once and every 30 s"() {
    const { station, client, events } = await connected();
    const [first] = station.requests;
    equal(first.what, `POST ${ALICE}/subscription`);
    equal(first.headers.Authorization, "Basic YWxpY2VAZGVtby5sb2NhbDpncsO8w59l");
    equal(first.credentials, "omit");
    equal(first.body.subscribeRequest, {
      expires: 3600, service: ["call"], localization: "English_US", useTurn: true,
      notificationType: "WebSocket", supported: ["RingingFeedback"],
    });
    equal(station.sockets[0].url, `wss://station.test${CHANNEL}`);
    equal(events[0][0], "online");
    equal(station.sockets[0].sent, ['{"message_type":"ping"}']);
    await after(61_000);
    equal(station.sockets[0].sent.length, 3);
    await client.stop();
    equal(station.requests.at(-1).what, `DELETE ${ALICE}/subscription/S1`);
  },

  async "the subscription is renewed at half time, on the same socket"() {
    const { station, client } = await connected();
    await after(1_801_000);
    const [renewal] = station.asked("PUT");
    equal(renewal.what, `PUT ${ALICE}/subscription/S1`);
    check(!("supported" in renewal.body.subscribeRequest), "no `supported` in a renewal");
    equal(station.sockets.length, 1);
    await client.stop();
  },

  async "a lost socket is opened again on the same channel without subscribing"() {
    const { station, client, events } = await connected();
    station.sockets[0].close(1001);
    await until(() => station.sockets.length === 2 && events.at(-1)[0] === "online");
    equal(station.asked("POST").length, 1);
    equal(station.sockets[1].url, station.sockets[0].url);
    await client.stop();
  },

  async "a refused channel whose subscription is gone leads to a new subscription"() {
    const { station, client } = await connected();
    station.refuseSockets = true;
    station.replies[`PUT ${ALICE}/subscription/S1`] = { status: 404, body: { subscribeResponse: { statusCode: 39 } } };
    station.sockets[0].close(1006);
    await until(() => station.asked("PUT").length > 0);
    station.refuseSockets = false;
    await until(() => station.asked("POST").length === 2);
    await client.stop();
  },

  async "`gone` leads to a new subscription"() {
    const { station, client } = await connected();
    station.send({ notificationMessage: { eventType: "gone", eventId: "g1" } });
    await until(() => station.asked("POST").length === 2 && station.sockets.length === 2);
    await client.stop();
  },

  async "a socket that died without a word is found by the probe"() {
    const { station, client, events } = await connected(async () => {
      throw new RequestError(0);
    });
    await after(31_000);
    await until(() => station.sockets.length >= 2);
    check(events.some(([type]) => type === "offline"), "it was offline in between");
    await client.stop();
  },

  async "a wrong password stops the client and says so"() {
    const station = new Station();
    station.replies[`POST ${ALICE}/subscription`] = { status: 401, body: { subscribeResponse: { statusCode: 4 } } };
    const client = new KandyClient(new Rest("alice@demo.local", "x", ORIGIN), "alice@demo.local");
    let refused = 0;
    client.addEventListener("refused", () => (refused += 1));
    client.start();
    await after(120_000);
    equal([refused, station.requests.length], [1, 1]);
  },

  async "an incoming call is told to ring at once, and rings once"() {
    const { station, client, events } = await connected();
    const call = {
      notificationMessage: {
        eventType: "call", eventId: "same",
        callNotificationParams: { callerDisplayNumber: "door@demo.local", callerName: "Door" },
        sessionParams: { sessionData: "LB", sdp: "v=0" },
      },
    };
    station.send(call);
    station.send(call);
    await turn();
    const incoming = events.filter(([type]) => type === "incoming");
    equal(incoming.length, 1);
    equal(incoming[0][1].leg.peer, { address: "door@demo.local", name: "Door" });
    equal(station.requests.at(-1).what, `PUT ${ALICE}/callControl/callSessions/LB`);
    equal(station.requests.at(-1).body, { callControlRequest: { type: "ringing" } });
    await client.stop();
    equal(station.asked("DELETE").length, 1); // only the subscription: it rings on elsewhere
  },

  async "an event that comes twice counts once"() {
    const { station, client } = await connected();
    const leg = await client.call({ address: "door@demo.local", name: "Door" }, "offer");
    let rings = 0;
    leg.addEventListener("ringing", () => (rings += 1));
    for (const eventId of ["r1", "r1", "r2"]) {
      station.send({ notificationMessage: { eventType: "ringing", eventId, sessionParams: { sessionData: "LA" } } });
    }
    equal(rings, 2);
    await client.stop();
  },

  async "an answered call is audited every 25 s until it ends"() {
    const { station, client, events } = await connected();
    station.notify("call", { sessionData: "LB", sdp: "v=0" });
    const { leg } = events.at(-1)[1];
    let over = null;
    leg.addEventListener("over", (event) => (over = event.detail));
    await leg.answer("answer");
    await after(51_000);
    const audits = () => station.requests.filter((request) => request.body?.callControlRequest?.type === "audit").length;
    equal(audits(), 2);
    station.notify("callEnd", { sessionData: "LB", statusCode: "200", reasonText: "Bye" });
    equal(over, { by: "peer", code: "200", text: "Bye" });
    await after(60_000);
    equal(audits(), 2);
    await client.stop();
  },

  async "a call that rings is looked at each 8 s until somebody takes it, here or elsewhere"() {
    const { station, client, events } = await connected();
    station.notify("call", { sessionData: "LB", sdp: "v=0" });
    const { leg } = events.at(-1)[1];
    const ends = [];
    leg.addEventListener("over", (event) => ends.push(event.detail.by));
    await after(17_000);
    const looks = () => station.asked("GET").length;
    equal([looks(), ends], [2, []]);
    station.replies[`GET ${ALICE}/callControl/callSessions/LB`] = { body: { callControlResponse: { statusCode: 0, state: "ANSWERED" } } };
    await after(8_000);
    equal([looks(), ends], [3, ["elsewhere"]]);
    await after(20_000);
    equal(looks(), 3);
    station.notify("call", { sessionData: "LC", sdp: "v=0" });
    await client.stop();
    await after(20_000);
    equal(looks(), 3);
  },

  async "an audit that finds no session ends the call"() {
    const { station, client, events } = await connected();
    station.notify("call", { sessionData: "LB", sdp: "v=0" });
    const { leg } = events.at(-1)[1];
    await leg.answer("answer");
    station.replies[`PUT ${ALICE}/callControl/callSessions/LB`] = { status: 404, body: { callControlResponse: { statusCode: 42 } } };
    await after(26_000);
    check(leg.over, "the leg is over");
    await client.stop();
  },

  async "events that overtake the reply of our own call are not lost"() {
    const { station, client } = await connected();
    const placed = client.call({ address: "door@demo.local", name: "Door" }, "offer");
    station.notify("ringing", { sessionData: "LA" });
    const leg = await placed;
    let rang = false;
    leg.addEventListener("ringing", () => (rang = true));
    await until(() => rang);
    equal(station.asked("POST").at(-1).body.callControlRequest, {
      type: "callStart", from: "sip:alice@demo.local", to: "sip:door@demo.local", sdp: "offer",
    });
    await client.stop();
    equal(station.asked("DELETE")[0].what, `DELETE ${ALICE}/callControl/callSessions/LA?reasonText=Ended%20by%20local%20user`);
  },

  async "a call that another device took is over here, but not one we took"() {
    const { station, client, events } = await connected();
    const ends = [];
    for (const id of ["L1", "L2"]) {
      station.notify("call", { sessionData: id, sdp: "v=0" });
      events.at(-1)[1].leg.addEventListener("over", (event) => ends.push([id, event.detail.by]));
    }
    await events.at(-1)[1].leg.answer("answer");
    station.notify("callCancel", { sessionData: "L1" });
    station.notify("callCancel", { sessionData: "L2" });
    equal(ends, [["L1", "elsewhere"]]);
    await client.stop();
  },

  async "nonsense on the channel changes nothing"() {
    const { station, client, events } = await connected();
    const before = events.length;
    for (const text of ["", "{", "null", "[]", '{"notificationMessage":7}', '{"notificationMessage":{"eventType":"call"}}',
      '{"notificationMessage":{"eventType":"call","eventId":"n1","sessionParams":{"sessionData":5}}}',
      '{"notificationMessage":{"eventType":"callEnd","eventId":"n2","sessionParams":{"sessionData":"nobody"}}}',
      '{"message_type":"pong"}']) {
      station.send(text);
    }
    equal(events.length, before);
    check(client.online, "still online");
    await client.stop();
  },

  "a user name is escaped in the path, its @ is not"() {
    equal(userPath("a/b?@demo.local"), "/rest/version/1/user/a%2Fb%3F@demo.local");
  },

  "hold is seen from the directions of all lines in use"() {
    const sdp = (...lines) => ["v=0", ...lines].join("\r\n") + "\r\n";
    const audio = (direction, port = 4000) => [`m=audio ${port} UDP/TLS/RTP/SAVPF 111`, `a=${direction}`];
    const video = (direction, port = 4002) => [`m=video ${port} UDP/TLS/RTP/SAVPF 96`, `a=${direction}`];
    equal(isHeld(sdp(...audio("sendrecv"), ...video("sendonly"))), false);
    equal(isHeld(sdp(...audio("sendonly"), ...video("sendonly"))), true);
    equal(isHeld(sdp(...audio("inactive"), ...video("inactive"))), true);
    equal(isHeld(sdp(...audio("sendonly"), ...video("recvonly", 0))), true);
    equal(isHeld(sdp(...audio("sendrecv"), "c=IN IP4 0.0.0.0")), true);
    equal(isHeld(sdp()), false);
    equal([wantsVideo(sdp(...video("sendonly"))), wantsVideo(sdp(...video("sendrecv"))), wantsVideo(sdp(...audio("sendrecv")))], [false, true, false]);
  },

  "the chime peaks at -12 dBFS and starts and ends in silence"() {
    const samples = new Float32Array(48_000);
    synthesise(samples, 48_000, [
      { at: 0, length: 0.9, hertz: 659.26, decay: 0.3 },
      { at: 0.35, length: 0.6, hertz: 523.25, decay: 0.35 },
    ]);
    const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    check(peak > 0.2 && peak <= 0.2501, `peak ${peak}`);
    check(Math.abs(samples[1]) < 0.01 && samples[47_999] === 0, "soft start, silent end");
  },

  "the message list keeps the newest 50 and counts what nobody has seen"() {
    localStorage.clear();
    const messages = new Messages();
    for (let i = 0; i < 60; i += 1) messages.add({ name: `n${i}`, kind: "missed", reason: "missed" });
    equal([messages.list.length, messages.list[0].name, messages.unseen], [50, "n59", 50]);
    messages.markSeen();
    equal([new Messages().list.length, new Messages().unseen], [50, 0]);
    localStorage.setItem("doorstation.messages", '{"not":"a list"}');
    equal(new Messages().list.length, 0);
    localStorage.clear();
  },

  "nobody has rung yet is said only where no visitor is shown either"() {
    const quiet = (stillTime) =>
      describe({
        login: false, station: null, call: null, online: true, ready: true, unreachable: false,
        last: null, newest: undefined, bellError: "", picture: { visible: false, stillTime },
      });
    equal(quiet(0).more, en.nobody);
    equal([quiet(1).more, quiet(1).still !== ""], ["", true]);
  },

  async "visitors' pictures are fetched once each, newest first, and go with the person"() {
    const station = new Station();
    const rest = new Rest("alice@demo.local", "x", ORIGIN);
    const visitor = (call) => ({ call, time: Number(call), picture: `/visitors/${call}.jpg` });
    const keeps = (...calls) => {
      station.replies["GET /visitors.json"] = { body: { visitors: calls.map(visitor) } };
    };
    const visitors = new Visitors();
    let changes = 0;
    visitors.addEventListener("change", () => (changes += 1));
    const calls = () => visitors.list.map(({ call }) => call);

    keeps("2", "1");
    await visitors.load(rest);
    equal([calls(), changes], [["2", "1"], 1]);
    check(visitors.list.every(({ url }) => url.startsWith("blob:")), "no address of a picture");
    await visitors.load(rest);
    equal(changes, 1);
    keeps("3", "2");
    await visitors.load(rest);
    equal(calls(), ["3", "2"]);
    equal(station.asked("GET /visitors/").map(({ what }) => what), ["2", "1", "3"].map((call) => `GET /visitors/${call}.jpg`));
    check(station.requests.every(({ headers }) => headers.Authorization), "a request without log-in");

    keeps(...Array.from({ length: 50 }, (_, at) => String(100 - at)));
    await visitors.load(rest);
    equal([calls().length, calls()[0]], [20, "100"]);

    // A station that keeps none, or says nothing: what is there stays.
    for (const reply of [{ status: 404 }, { status: 0 }, { body: { visitors: "none" } }, { body: {} }]) {
      station.replies["GET /visitors.json"] = reply;
      await visitors.load(rest);
    }
    equal(calls().length, 20);

    keeps("200");
    const late = visitors.load(rest);
    visitors.forget();
    await late;
    equal(calls(), []);
  },

  "every id of the page is used once, every sign and sentence it names exists"() {
    const request = new XMLHttpRequest();
    request.open("GET", "../../src/gateway/web/index.html", false);
    request.send();
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const ids = [...page.querySelectorAll("[id]")].map((element) => element.id);
    check(ids.length > 50, `only ${ids.length} ids`);
    equal(ids.filter((id, i) => ids.indexOf(id) !== i), []);
    const signs = [...page.querySelectorAll("use")].map((use) => use.getAttribute("href").slice(1));
    equal(signs.filter((id) => !ids.includes(id)), []);
    const words = [...page.querySelectorAll("[data-word], [data-word-label]")]
      .map(({ dataset }) => dataset.word ?? dataset.wordLabel);
    equal(words.filter((key) => !(key in en)), []);
  },

  async "a button that is held for a second acts once, and one that is let go does nothing"() {
    const button = document.createElement("button");
    let acts = 0;
    onHold(button, () => (acts += 1));
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const pointer = (type) => button.dispatchEvent(new PointerEvent(type, { button: 0 }));
    const key = (type, more) => button.dispatchEvent(new KeyboardEvent(type, { key: " ", cancelable: true, ...more }));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
      pointer("pointerdown");
      check(button.classList.contains("holding"), "the ring does not fill");
      await pause(HOLD - 50);
      pointer(end);
      await pause(HOLD * 2);
      equal([end, acts, button.className], [end, 0, ""]);
    }
    button.click();
    await pause(HOLD * 2);
    equal(acts, 0);
    pointer("pointerdown");
    await pause(HOLD * 3);
    equal(acts, 1);
    key("keydown");
    await pause(HOLD - 50);
    key("keydown", { repeat: true });
    key("keyup");
    await pause(HOLD * 2);
    equal(acts, 1);
    check(!key("keydown"), "the key also clicks");
    await pause(HOLD * 2);
    equal(acts, 2);
  },

  "both languages know the same sentences with the same blanks"() {
    equal(Object.keys(de).sort(), Object.keys(en).sort());
    const blanks = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const key of Object.keys(en)) equal([key, blanks(de[key])], [key, blanks(en[key])]);
  },
};

// --- running them -------------------------------------------------------------

function check(condition, text) {
  if (!condition) throw new Error(text);
}

function equal(actual, expected) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(left === right, `${left} is not ${right}`);
}

function turn() {
  return new Promise((resolve) => setTimeout(resolve));
}

function after(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function until(condition) {
  for (let i = 0; i < 600; i += 1) {
    if (condition()) return;
    await after(100);
  }
  throw new Error(`never: ${condition}`);
}

async function run() {
  const lines = [];
  let failed = 0;
  for (const [name, story] of Object.entries(stories)) {
    try {
      await story();
      lines.push(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      lines.push(`FAILED  ${name}: ${error.message}`);
    }
  }
  document.getElementById("report").textContent = lines.join("\n");
  document.body.dataset.result = failed ? "failed" : "passed";
}

addEventListener("unhandledrejection", (event) => {
  document.body.dataset.stray = String(event.reason);
});
run();
