/** Paints the screen from a plain description of it. Decides nothing. */

import { currentLanguage, duration, moment, translate, word } from "./words.js";

/** Signs of `LOOK`: colour + shape + word. */
const SIGNS = { open: "door-open", bell: "bell", voice: "voice", fault: "fault", idle: "door", pause: "pause" };

/** @param {string} id */
export function $(id) {
  return document.getElementById(id);
}

/**
 * @typedef {object} Screen
 * @property {"login"|"idle"|"calling"|"ringing"|"talking"|"held"|"unreachable"} state
 * @property {keyof SIGNS} sign
 * @property {string} title who or what the page shows
 * @property {string} status one sentence
 * @property {string} outcome large line of the quiet screen
 * @property {string} more small line below it
 * @property {boolean} picture the living picture is there
 * @property {string} still when the last picture was taken; empty: there is none to show
 * @property {boolean} cameraChoice
 * @property {boolean} bell the demo's button
 * @property {boolean} mayOpen the door can be opened from here
 * @property {boolean} open the door is open
 * @property {boolean} muted
 * @property {boolean} ownCamera the own camera is in use
 * @property {boolean} cameraPaused
 * @property {boolean} ready calls can be made
 */

/** @param {Screen} screen */
export function paint(screen) {
  const { state } = screen;
  const changed = document.body.dataset.state !== state;
  document.body.dataset.state = state;
  document.body.dataset.sign = screen.sign;
  document.body.toggleAttribute("data-picture", screen.picture);
  for (const element of document.querySelectorAll("[data-in]")) {
    element.hidden = !element.dataset.in.split(" ").includes(state);
  }
  text("door-name", screen.title);
  text("status-word", screen.status);
  use("status-sign", SIGNS[screen.sign]);
  use("ring-sign", state === "calling" ? "call" : "bell");
  text("outcome", screen.outcome);
  text("outcome-more", screen.more);
  $("memory").classList.toggle("empty", !screen.outcome && !screen.more);
  $("last-picture").hidden = !screen.still;
  text("still-time", screen.still);
  $("camera-chip").hidden = !screen.cameraChoice;
  $("bell").hidden = !screen.bell;
  $("camera").hidden = !screen.ownCamera;
  if (!screen.mayOpen) $("open").hidden = true;
  text("open-word", word(screen.open ? "doorOpen" : "open"));
  use("open-sign", screen.open ? "door-open" : "door");
  $("look").disabled = !screen.ready;
  $("talk").disabled = !screen.ready;
  $("mute").setAttribute("aria-pressed", String(screen.muted));
  text("mute-word", word(screen.muted ? "unmute" : "mute"));
  use("mute-sign", screen.muted ? "mic-off" : "mic");
  text("camera-word", word(screen.cameraPaused ? "cameraOn" : "cameraOff"));
  use("camera-sign", screen.cameraPaused ? "camera-off" : "camera");
  if (changed) focus(state);
}

/** The next thing to do has the focus; nothing that ends or starts a call by accident. */
function focus(state) {
  const target = { ringing: "answer", calling: "end", talking: "mute", held: "mute", idle: "outcome" }[state];
  // Without a call before it, the quiet screen takes no focus away.
  if (target && (state !== "idle" || document.activeElement === document.body)) $(target).focus();
}

/** @param {import("./notices.js").Notice|null} notice @param {Record<string, string>} [values] */
export function paintNotice(notice, values) {
  $("notice").hidden = !notice;
  if (!notice) return;
  text("notice-text", word(notice.text, values));
  $("notice-action").hidden = !notice.action;
  text("notice-action", notice.action ? word(notice.action) : "");
}

/** @param {string} time running time of the call, or empty */
export function paintClock(time) {
  text("clock", time);
}

/** @param {import("./stats.js").Figures|null} figures */
export function paintFigures(figures) {
  const bars = figures?.bars ?? 4;
  $("bars").dataset.bars = String(bars);
  $("bars").setAttribute("aria-label", word("connection", { bars }));
  const rows = figures
    ? [
        ["fps", figures.fps === null ? "–" : word("fpsValue", { value: Math.round(figures.fps) })],
        ["roundTrip", figures.roundTrip === null ? "–" : word("roundTripValue", { value: Math.round(figures.roundTrip) })],
        ["loss", word("lossValue", { value: figures.loss.toFixed(1) })],
        ["size", figures.size || "–"],
      ]
    : [];
  $("figures").replaceChildren(...rows.flatMap(([key, value]) => [make("dt", word(key)), make("dd", value)]));
}

/**
 * @param {import("./store.js").Message[]} list
 * @param {number} unseen
 */
export function paintMessages(list, unseen) {
  $("badge").hidden = unseen === 0;
  text("badge", String(unseen));
  $("messages").setAttribute("aria-label", word(unseen ? "messagesNew" : "messages", { count: unseen }));
  $("message-none").hidden = list.length > 0;
  $("message-clear").hidden = list.length === 0;
  $("message-list").replaceChildren(...list.map(messageItem));
}

/** @param {import("./visitors.js").Visitor[]} list newest first */
export function paintVisitors(list) {
  $("visitors").hidden = list.length === 0;
  $("visitor-list").replaceChildren(...list.map(visitorItem));
  // The picture that is looked at went with the person who was signed in.
  if (list.length === 0) $("photo").close();
}

/** @param {boolean} mayNotify the browser would ask for leave to notify */
export function paintSettings(mayNotify, name) {
  $("notify").hidden = !mayNotify;
  text("who", word("signedInAs", { name }));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
  }
}

/** @param {string} error sentence, or empty @param {boolean} busy */
export function paintLogin(error, busy) {
  $("login-error").hidden = !error;
  text("login-error", error);
  $("login-submit").disabled = busy;
  text("login-submit", word(busy ? "signingIn" : "signIn"));
}

export function repaintWords() {
  translate();
}

function messageItem(message) {
  const icon = { missed: "missed", failed: "fault", station: "fault" }[message.kind] ?? (message.incoming ? "in" : "out");
  const item = make("li");
  item.className = message.kind === "station" ? "failed" : message.kind;
  const sign = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "use");
  shape.setAttribute("href", `#icon-${icon}`);
  sign.setAttribute("aria-hidden", "true");
  sign.append(shape);
  const body = make("div");
  const title = message.name
    ? message.incoming ? word("in", message) : word("out", message)
    : word(message.reason, message);
  const talked = message.seconds ? word("talked", { time: duration(message.seconds) }) : "";
  const reason = message.name && !(message.kind === "ended" && talked) ? word(message.reason, message) : "";
  const line = make("span");
  line.append(stamp(message.time), [reason, talked].filter(Boolean).map((part) => ` · ${part}`).join(""));
  body.append(make("strong", title), line);
  item.append(sign, body);
  return item;
}

function visitorItem({ time, url }) {
  const item = make("li");
  const button = make("button");
  button.type = "button";
  const label = word("visitorAt", { moment: moment(time) });
  button.append(photograph(url, label), stamp(time));
  button.addEventListener("click", () => {
    $("photo-picture").src = url;
    $("photo-picture").alt = label;
    $("photo-time").replaceChildren(stamp(time));
    $("photo").showModal();
  });
  item.append(button);
  return item;
}

function photograph(url, label) {
  const image = make("img");
  image.src = url;
  image.alt = label;
  return image;
}

function stamp(time) {
  const element = make("time", moment(time));
  element.dateTime = new Date(time).toISOString();
  return element;
}

function make(tag, content = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}

/** Live regions speak on every change: touch the text only when it is another. */
function text(id, content) {
  const element = $(id);
  if (element.textContent !== content) element.textContent = content;
}

function use(id, icon) {
  const href = `#icon-${icon}`;
  if ($(id).getAttribute("href") !== href) $(id).setAttribute("href", href);
}
