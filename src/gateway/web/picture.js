/**
 * The picture of the other side: edge to edge where its shape allows it. Where
 * it does not, at most 30 % is cut and a soft copy fills the rest; a tap fills
 * the screen. The last picture of the door stays as a still, in memory only.
 */

/** The share of the picture that must stay visible. */
const VISIBLE = 0.7;
/** Milliseconds between two soft copies, and between two stills. */
const COPY_EVERY = 250;
const STILL_EVERY = 2_000;
/** Pixels, the longer side of a still. */
const STILL_SIZE = 1280;

/** Emits `change`. */
export class Picture extends EventTarget {
  /** The browser wants a tap before it plays with sound. */
  silent = false;
  /** When the still was taken, milliseconds since the epoch; 0: there is none. */
  stillTime = 0;

  #video;
  #backdrop;
  #still;
  #filled = false;
  #keepStill = false;
  #copyTimer = 0;
  #stillTimer = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} backdrop
   * @param {HTMLCanvasElement} still
   */
  constructor(video, backdrop, still) {
    super();
    this.#video = video;
    this.#backdrop = backdrop;
    this.#still = still;
    video.addEventListener("resize", () => this.#fit());
    window.addEventListener("resize", () => this.#fit());
    video.addEventListener("click", () => {
      this.#filled = !this.#filled;
      this.#fit();
    });
  }

  /** There is a living picture. */
  get visible() {
    return this.#video.srcObject !== null && this.#video.videoWidth > 0;
  }

  /**
   * @param {MediaStream} stream
   * @param {{keepStill: boolean}} options
   */
  show(stream, { keepStill }) {
    this.#keepStill = keepStill;
    if (this.#video.srcObject === stream) return;
    this.#video.srcObject = stream;
    this.#filled = false;
    clearInterval(this.#copyTimer);
    clearInterval(this.#stillTimer);
    this.#copyTimer = setInterval(() => this.#copy(), COPY_EVERY);
    this.#stillTimer = setInterval(() => this.#keep(), STILL_EVERY);
    this.play();
  }

  /** Starts the sound after a tap, where the browser wanted one. */
  async play() {
    const before = this.silent;
    try {
      await this.#video.play();
      this.silent = false;
    } catch (error) {
      // A new picture that replaces the old one is no reason to be silent.
      this.silent = error.name === "NotAllowedError";
    }
    if (this.silent !== before) this.dispatchEvent(new Event("change"));
  }

  clear() {
    clearInterval(this.#copyTimer);
    clearInterval(this.#stillTimer);
    if (this.#video.srcObject === null) return;
    this.#keep();
    this.#video.srcObject = null;
    this.silent = false;
    this.#fit();
  }

  /** Makes the station's picture of `time` the last one, unless a newer one was seen here. */
  async keep(blob, time) {
    if (time <= this.stillTime) return;
    const bitmap = await createImageBitmap(blob).catch(() => null);
    if (!bitmap || time <= this.stillTime) return;
    this.#take(bitmap, bitmap.width, bitmap.height, time);
    bitmap.close();
  }

  forgetStill() {
    this.stillTime = 0;
    this.#still.width = 0;
  }

  #fit() {
    const { videoWidth, videoHeight, classList, style } = this.#video;
    const picture = videoWidth / videoHeight;
    const screen = window.innerWidth / window.innerHeight;
    const shown = Math.min(picture / screen, screen / picture);
    const framed = videoWidth > 0 && !this.#filled && shown < VISIBLE;
    const wide = screen < picture;
    classList.toggle("framed", framed);
    classList.toggle("wide", framed && wide);
    classList.toggle("tall", framed && !wide);
    style.setProperty("--shape", String(wide ? picture * VISIBLE : picture / VISIBLE));
    this.#backdrop.hidden = !framed;
    this.dispatchEvent(new Event("change"));
  }

  #copy() {
    if (!this.#backdrop.hidden) this.#draw(this.#backdrop, this.#video);
  }

  #keep() {
    if (!this.#keepStill || !this.visible) return;
    this.#take(this.#video, this.#video.videoWidth, this.#video.videoHeight, Date.now());
  }

  #take(source, width, height, time) {
    const scale = Math.min(1, STILL_SIZE / Math.max(width, height));
    this.#still.width = width * scale;
    this.#still.height = height * scale;
    this.#draw(this.#still, source);
    this.stillTime = time;
  }

  #draw(canvas, source) {
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  }
}
