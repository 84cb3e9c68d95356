/** The wish to open the door, and what became of it. */

import { word } from "./words.js";

/** How long the result is said: as long as a pulse usually is, in milliseconds. */
const NEWS = 5_000;

export class Opening extends EventTarget {
  open = false;
  /** What happened, for people; empty when it was long ago. */
  sentence = "";
  #timer = 0;

  /**
   * @param {import("./rest.js").Rest} rest
   * @param {{openToken: string}} station gets the new token of one that was started anew
   */
  async ask(rest, station) {
    this.#tell(false, word("opening"));
    try {
      await request(rest, station);
      this.#tell(true, word("doorOpen"));
    } catch (error) {
      this.#tell(false, sentenceOf(error));
    }
  }

  #tell(open, sentence) {
    clearTimeout(this.#timer);
    this.#say(open, sentence);
    this.#timer = setTimeout(() => this.#say(false, ""), NEWS);
  }

  #say(open, sentence) {
    this.open = open;
    this.sentence = sentence;
    this.dispatchEvent(new Event("change"));
  }
}

/** A station that was started anew has a new token: it is fetched once. */
async function request(rest, station) {
  const ask = () => rest.request("POST", "/door/open", {}, { headers: { "X-Door-Token": station.openToken } });
  try {
    await ask();
  } catch (error) {
    if (error.reason !== "token") throw error;
    const { openToken } = await rest.request("GET", "/station.json");
    if (typeof openToken !== "string") throw error;
    station.openToken = openToken;
    await ask();
  }
}

/** Why the door stays closed, for people. */
function sentenceOf(error) {
  const sentences = { open: "doorAlready", locked: "doorLocked", not_allowed: "doorNotAllowed" };
  const soon = ["too-soon", "too-often", "too_often"].includes(error.reason);
  const sentence = soon ? "doorTooOften" : sentences[error.reason];
  return word(sentence ?? "doorFailed", { code: error.reason || error.status });
}
