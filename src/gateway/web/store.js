/**
 * What this device remembers: the log-in (only if asked), the message list and
 * small choices. A browser that forbids storage costs the memory, not the page.
 */

/** Messages kept; older ones are dropped. */
const MESSAGES_MOST = 50;

const LOGIN = "doorstation.login";
const MESSAGES = "doorstation.messages";
const CHOICES = "doorstation.choices";

/**
 * @typedef {object} Message
 * @property {number} time milliseconds since the epoch
 * @property {string} name who called or was called; empty for events of the station
 * @property {boolean} incoming
 * @property {string} kind of `Outcome`, or "station"
 * @property {string} reason key of the sentence in `words/`
 * @property {string} code
 * @property {string} text
 * @property {number} seconds talked
 * @property {boolean} seen
 */

/** @returns {{address: string, password: string}|null} */
export function savedLogin() {
  const login = read(LOGIN, null);
  return typeof login?.address === "string" && typeof login?.password === "string" ? login : null;
}

export function saveLogin(address, password) {
  write(LOGIN, { address, password });
}

export function forgetLogin() {
  try {
    localStorage.removeItem(LOGIN);
  } catch {
    // Nothing was stored either.
  }
}

/** @returns {Record<string, any>} small choices, such as the language */
export function choices() {
  const value = read(CHOICES, {});
  return value && typeof value === "object" ? value : {};
}

export function choose(name, value) {
  write(CHOICES, { ...choices(), [name]: value });
}

/** The list of who rang when; newest first. Emits `change`. */
export class Messages extends EventTarget {
  /** @type {Message[]} */
  #list;

  constructor() {
    super();
    const saved = read(MESSAGES, []);
    this.#list = Array.isArray(saved)
      ? saved.filter((entry) => Number.isFinite(entry?.time) && typeof entry.reason === "string")
      : [];
  }

  get list() {
    return this.#list;
  }

  /** Missed calls that nobody has looked at. */
  get unseen() {
    return this.#list.filter((entry) => entry.kind === "missed" && !entry.seen).length;
  }

  /** @param {Partial<Message>} message */
  add(message) {
    const blank = { time: Date.now(), name: "", incoming: false, kind: "station", reason: "other", code: "", text: "", seconds: 0, seen: false };
    this.#list = [{ ...blank, ...message }, ...this.#list].slice(0, MESSAGES_MOST);
    this.#changed();
  }

  markSeen() {
    if (this.#list.every((entry) => entry.seen)) return;
    this.#list = this.#list.map((entry) => ({ ...entry, seen: true }));
    this.#changed();
  }

  clear() {
    this.#list = [];
    this.#changed();
  }

  #changed() {
    write(MESSAGES, this.#list);
    this.dispatchEvent(new Event("change"));
  }
}

function read(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // No room or not allowed: it lives as long as the page.
  }
}
