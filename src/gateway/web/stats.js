/** Figures of a connection, once a second, and the bars drawn from them. */

/** Milliseconds between two readings. */
const INTERVAL = 1_000;

/**
 * @typedef {object} Figures
 * @property {number} bars 0 (nothing arrives) to 4
 * @property {number|null} fps pictures decoded per second, null without a picture
 * @property {number|null} roundTrip milliseconds
 * @property {number} loss lost packets, percent of the last second
 * @property {string} size of the picture, `1280 × 720`, or empty
 */

export class Meter {
  #pc;
  #timer;
  #last = { received: 0, lost: 0, decoded: 0, time: 0 };

  /**
   * @param {RTCPeerConnection} pc
   * @param {(figures: Figures) => void} show
   */
  constructor(pc, show) {
    this.#pc = pc;
    this.#timer = setInterval(async () => {
      const figures = await this.#read().catch(() => null);
      if (figures && this.#timer) show(figures);
    }, INTERVAL);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  async #read() {
    const now = { received: 0, lost: 0, decoded: 0, time: performance.now() };
    let video = null;
    let roundTrip = null;
    const report = await this.#pc.getStats();
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp") {
        now.received += entry.packetsReceived ?? 0;
        now.lost += Math.max(0, entry.packetsLost ?? 0);
        if (entry.kind === "video") video = entry;
      } else if (entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded") {
        const time = entry.currentRoundTripTime;
        if (time !== undefined) roundTrip = Math.max(roundTrip ?? 0, time * 1000);
      }
    }
    now.decoded = video?.framesDecoded ?? 0;
    const last = this.#last;
    this.#last = now;
    const received = now.received - last.received;
    const lost = Math.max(0, now.lost - last.lost);
    const loss = received + lost > 0 ? (100 * lost) / (received + lost) : 0;
    const seconds = (now.time - last.time) / 1000;
    const fps = video && last.time ? (now.decoded - last.decoded) / seconds : null;
    return {
      bars: bars(received, loss, roundTrip ?? 0),
      fps,
      roundTrip,
      loss,
      size: video?.frameWidth ? `${video.frameWidth} × ${video.frameHeight}` : "",
    };
  }
}

/** Limits by what people notice: speech suffers from 3 % loss, talk from 300 ms. */
function bars(received, loss, roundTrip) {
  if (received === 0) return 0;
  if (loss > 10 || roundTrip > 800) return 1;
  if (loss > 3 || roundTrip > 300) return 2;
  if (loss > 1 || roundTrip > 150) return 3;
  return 4;
}
