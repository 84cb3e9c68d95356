/**
 * Who stood at the door: the pictures that the station took when somebody pressed the
 * bell. They come with the person's own log-in, and go when the person signs out.
 */

/** Pictures that are fetched; the station may keep more. */
const MOST = 20;

/** @typedef {{call: string, time: number, url: string, blob: Blob}} Visitor */

export class Visitors extends EventTarget {
  /** Newest first. @type {Visitor[]} */
  list = [];
  /** Grows with each load: an older one that comes late changes nothing. */
  #turn = 0;

  /**
   * Fetches what is new. Without an answer, and from a station that keeps no
   * pictures, the list stays as it is.
   * @param {import("./rest.js").Rest|null} rest
   */
  async load(rest) {
    if (!rest) return;
    const turn = ++this.#turn;
    const known = new Map(this.list.map((visitor) => [visitor.call, visitor]));
    const list = [];
    try {
      const { visitors } = await rest.request("GET", "/visitors.json");
      if (!Array.isArray(visitors)) return;
      for (const { call, time, picture } of visitors.slice(0, MOST)) {
        const blob = known.get(call)?.blob ?? (await rest.file(picture));
        if (turn !== this.#turn) return;
        list.push({ call, time, blob });
      }
    } catch {
      return;
    }
    if (turn !== this.#turn) return;
    const fresh = list.map((visitor) => known.get(visitor.call) ?? { ...visitor, url: URL.createObjectURL(visitor.blob) });
    this.#replace(fresh);
  }

  forget() {
    this.#turn += 1;
    this.#replace([]);
  }

  #replace(list) {
    for (const { url } of this.list.filter((visitor) => !list.includes(visitor))) URL.revokeObjectURL(url);
    const same = list.length === this.list.length && list.every((visitor, at) => visitor === this.list[at]);
    this.list = list;
    if (!same) this.dispatchEvent(new Event("change"));
  }
}
