/**
 * Tones of the page, computed sample by sample so that they are never clipped
 * and loop without a timer (timers of hidden tabs are slow).
 */

/** -12 dBFS. */
const PEAK = 0.25;
/** Seconds of soft start and end of each tone. */
const FADE = 0.01;
const E5 = 659.26;
const C5 = 523.25;

/**
 * @typedef {{at: number, length: number, hertz: number, decay?: number}} Note
 *   times in seconds; `decay` is the time constant of a struck tone
 */

/** @type {Record<string, {period: number, notes: Note[], loop: boolean}>} */
const TONES = {
  chime: {
    period: 3.5,
    loop: true,
    notes: [
      { at: 0, length: 0.9, hertz: E5, decay: 0.3 },
      { at: 0.35, length: 1.2, hertz: C5, decay: 0.35 },
    ],
  },
  ringBack: { period: 5, loop: true, notes: [{ at: 0, length: 1, hertz: 425 }] },
  busy: {
    period: 3,
    loop: false,
    notes: [0, 1, 2].map((at) => ({ at, length: 0.5, hertz: 425 })),
  },
};

export class Sound extends EventTarget {
  /** @type {AudioContext|null} */
  #context = null;
  #buffers = new Map();
  /** @type {AudioBufferSourceNode|null} */
  #playing = null;
  #name = "";

  /** The browser lets us sound. */
  get unlocked() {
    return this.#context?.state === "running";
  }

  /** Call from a tap or a key: browsers are mute until then. Emits `change`. */
  async unlock() {
    this.#context ??= this.#open();
    await this.#context?.resume().catch(() => {});
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Plays one tone instead of what plays now; the same tone goes on.
   * @param {"chime"|"ringBack"|"busy"|""} name `""`: silence
   */
  play(name) {
    if (name === this.#name) return;
    this.#name = name;
    this.#stop();
    if (!name) return;
    this.#context ??= this.#open();
    if (!this.#context) return;
    const { loop } = TONES[name];
    const source = this.#context.createBufferSource();
    source.buffer = this.#buffer(name);
    source.loop = loop;
    source.connect(this.#context.destination);
    source.onended = () => {
      if (this.#playing !== source) return;
      this.#playing = null;
      this.#name = "";
    };
    source.start();
    this.#playing = source;
  }

  /** Ends a tone that would go on for ever; a short one plays out. */
  stopLoop() {
    if (TONES[this.#name]?.loop) this.play("");
  }

  #stop() {
    const source = this.#playing;
    this.#playing = null;
    source?.stop();
    source?.disconnect();
  }

  #open() {
    if (typeof AudioContext === "undefined") return null;
    const context = new AudioContext();
    context.onstatechange = () => this.dispatchEvent(new Event("change"));
    return context;
  }

  #buffer(name) {
    if (!this.#buffers.has(name)) {
      const { period, notes } = TONES[name];
      const rate = this.#context.sampleRate;
      const buffer = this.#context.createBuffer(1, Math.round(period * rate), rate);
      synthesise(buffer.getChannelData(0), rate, notes);
      this.#buffers.set(name, buffer);
    }
    return this.#buffers.get(name);
  }
}

/**
 * Adds the notes to `samples` and scales the loudest place down to the peak.
 * @param {Float32Array} samples
 * @param {number} rate samples per second
 * @param {Note[]} notes
 */
export function synthesise(samples, rate, notes) {
  for (const { at, length, hertz, decay } of notes) {
    const first = Math.round(at * rate);
    const count = Math.min(Math.round(length * rate), samples.length - first);
    for (let i = 0; i < count; i += 1) {
      const time = i / rate;
      const fade = Math.min(1, time / FADE, (length - time) / FADE);
      const level = decay ? Math.exp(-time / decay) : 1;
      samples[first + i] += PEAK * fade * level * Math.sin(2 * Math.PI * hertz * time);
    }
  }
  const loudest = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (loudest > PEAK) samples.forEach((value, i) => (samples[i] = (value * PEAK) / loudest));
}
