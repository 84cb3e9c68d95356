/**
 * Picture and sound of one call: an RTCPeerConnection with one audio and one
 * video line. The station answers with one transport per line and without
 * BUNDLE; "max-compat" makes offers that allow it.
 *
 * Candidates go into the SDP (no trickle). What an answer needs is made while it
 * rings: sockets (the pool) and the answer itself; none of it leaves this device
 * before `answer`. A track is attached to its line whenever the device delivers
 * it, so an answer never waits for a microphone.
 */

/** One transport for the sound, one for the picture. */
const TRANSPORTS = 2;

/** Longest wait for candidates, in milliseconds. Host candidates take a few. */
const GATHER_LIMIT = 1_500;
/**
 * After the first host candidate of every line, how long to wait for those of other
 * networks, in milliseconds: they come in one burst. What Chromium then still waits
 * for, 100 ms, is TCP, which the station does not speak.
 */
const GATHER_BURST = 10;
/** Media must flow this long after the answer, in milliseconds (protocol section 11.5). */
const CONNECT_LIMIT = 15_000;

const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA = {
  width: { ideal: 640 },
  height: { ideal: 480 },
  frameRate: { ideal: 24, max: 30 },
  facingMode: "user",
};

/**
 * Events:
 * - `change` any of the properties below is different now
 * - `failed` there is no connection, or none any more
 */
export class Media extends EventTarget {
  /** What the other side sends. */
  remote = new MediaStream();
  /** "new", "connected", "unstable" or "closed". */
  state = "new";
  /** "off", "waiting", "live", "refused" or "missing". */
  microphone = "off";
  /** As for the microphone. */
  camera = "off";
  /** Own picture while the camera is live. @type {MediaStream|null} */
  own = null;
  muted = false;

  #pc;
  /** @type {{audio?: RTCRtpTransceiver, video?: RTCRtpTransceiver}} */
  #lines = {};
  /** An answer without our own picture, made ahead. @type {RTCSessionDescriptionInit|null} */
  #draft = null;
  #hostsOnly;
  #tracks = new Set();
  #connectTimer = 0;

  /** @param {RTCIceServer[]} iceServers empty on a LAN */
  constructor(iceServers) {
    super();
    this.#hostsOnly = iceServers.length === 0;
    this.#pc = new RTCPeerConnection({
      iceServers,
      bundlePolicy: "max-compat",
      iceCandidatePoolSize: TRANSPORTS,
    });
    this.#pc.ontrack = ({ track }) => {
      this.remote.addTrack(track);
      this.#change();
    };
    this.#pc.onconnectionstatechange = () => this.#follow();
  }

  /** For figures. */
  get connection() {
    return this.#pc;
  }

  get closed() {
    return this.state === "closed";
  }

  /**
   * @param {{microphone: boolean, camera: boolean}} send what to send from the start
   * @returns {Promise<string>} SDP of our offer
   */
  async offer(send) {
    this.#lines.audio = this.#pc.addTransceiver("audio", { direction: "sendrecv" });
    this.#lines.video = this.#pc.addTransceiver("video", {
      direction: send.camera ? "sendrecv" : "recvonly",
    });
    this.#openDevices(send);
    return this.#gathered(await this.#pc.createOffer());
  }

  /** Takes the answer to our offer. @param {string} sdp */
  async takeAnswer(sdp) {
    this.#expectConnection();
    await this.#pc.setRemoteDescription({ type: "answer", sdp });
    // A camera that the other side does not want to see is switched off again.
    if (!this.#lines.video.currentDirection?.includes("send")) this.#stop("video");
  }

  /** Takes the offer of an incoming call, ahead of the answer. @param {string} sdp */
  async takeOffer(sdp) {
    await this.#pc.setRemoteDescription({ type: "offer", sdp });
    for (const line of this.#pc.getTransceivers()) {
      this.#lines[line.receiver.track.kind] ??= line;
    }
    this.#direct(false);
    this.#draft = await this.#pc.createAnswer();
  }

  /**
   * @param {{microphone: boolean, camera: boolean}} send
   * @returns {Promise<string>} SDP of our answer to `takeOffer`
   */
  async answer(send) {
    const { audio, video } = this.#lines;
    this.#expectConnection();
    this.#openDevices({ microphone: send.microphone && audio, camera: send.camera && video });
    if (!send.camera && this.#draft) return this.#gathered(this.#draft);
    this.#direct(send.camera);
    return this.#gathered(await this.#pc.createAnswer());
  }

  /**
   * Follows a change by the other side (hold, unhold, video).
   * @param {string} sdp its offer
   * @returns {Promise<string>} our answer
   */
  async update(sdp) {
    await this.#pc.setRemoteDescription({ type: "offer", sdp });
    return this.#gathered(await this.#pc.createAnswer());
  }

  /** Stops or starts our own sound; opens the microphone when it is first needed. */
  setMuted(muted) {
    this.muted = muted;
    if (!muted && ["off", "refused", "missing"].includes(this.microphone)) this.#open("audio");
    this.#apply();
    this.#change();
  }

  /** Pauses or resumes our own picture. */
  pauseCamera(paused) {
    const track = this.#lines.video?.sender.track;
    if (track) track.enabled = !paused;
    this.#change();
  }

  /** The other side cannot hear us, and not because we want it so. */
  get unheard() {
    return this.microphone === "refused" || this.microphone === "missing";
  }

  get cameraPaused() {
    return this.#lines.video?.sender.track?.enabled === false;
  }

  /** Frees the connection and every device. */
  close() {
    if (this.closed) return;
    this.state = "closed";
    clearTimeout(this.#connectTimer);
    for (const track of this.#tracks) track.stop();
    this.#tracks.clear();
    this.#pc.ontrack = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
    this.own = null;
  }

  #direct(camera) {
    const { audio, video } = this.#lines;
    if (audio) audio.direction = "sendrecv";
    if (video) video.direction = camera ? "sendrecv" : "recvonly";
  }

  #openDevices({ microphone, camera }) {
    this.muted = !microphone;
    if (microphone) this.#open("audio");
    if (camera) this.#open("video");
  }

  async #open(kind) {
    const name = kind === "audio" ? "microphone" : "camera";
    const wanted = kind === "audio" ? { audio: MICROPHONE } : { video: CAMERA };
    this[name] = "waiting";
    this.#change();
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wanted);
      const [track] = stream.getTracks();
      if (this.closed || this[name] !== "waiting") {
        track.stop();
        return;
      }
      this.#tracks.add(track);
      track.onended = () => this.#stop(kind, "missing");
      this[name] = "live";
      if (kind === "video") this.own = stream;
      this.#apply(track);
      await this.#lines[kind].sender.replaceTrack(track);
    } catch (error) {
      if (!this.closed) this[name] = error.name === "NotFoundError" ? "missing" : "refused";
    }
    this.#change();
  }

  /** Mute silences the track; the line itself stays as negotiated. */
  #apply(track = this.#lines.audio?.sender.track) {
    if (track?.kind === "audio") track.enabled = !this.muted;
  }

  #stop(kind, state = "off") {
    const name = kind === "audio" ? "microphone" : "camera";
    if (this.closed || this[name] === "off") return;
    this[name] = state;
    const track = this.#lines[kind].sender.track;
    track?.stop();
    this.#tracks.delete(track);
    this.#lines[kind].sender.replaceTrack(null).catch(() => {});
    if (kind === "video") this.own = null;
    this.#change();
  }

  /** @returns {Promise<string>} the local description with its candidates */
  async #gathered(description) {
    await this.#pc.setLocalDescription(description);
    await this.#candidates();
    if (this.closed) throw new DOMException("the call is over", "AbortError");
    return this.#pc.localDescription.sdp;
  }

  /** Waits for every candidate that the other side can use. */
  #candidates() {
    return new Promise((resolve) => {
      const limit = setTimeout(resolve, GATHER_LIMIT);
      let burst = 0;
      const look = () => {
        if (this.#pc.iceGatheringState === "complete") {
          clearTimeout(limit);
          clearTimeout(burst);
          resolve();
        } else if (this.#hostsOnly && !burst && hasHosts(this.#pc.localDescription.sdp)) {
          burst = setTimeout(resolve, GATHER_BURST);
        }
      };
      this.#pc.addEventListener("icegatheringstatechange", look);
      this.#pc.addEventListener("icecandidate", look);
      look();
    });
  }

  #expectConnection() {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = setTimeout(() => {
      if (this.state === "new") this.#emit("failed");
    }, CONNECT_LIMIT);
  }

  #follow() {
    switch (this.#pc.connectionState) {
      case "connected":
        this.state = "connected";
        break;
      case "disconnected":
        this.state = "unstable";
        break;
      case "failed":
        // Each line has its own transport: without the picture people still talk.
        if (this.#soundFlows()) this.state = "unstable";
        else this.#emit("failed");
        break;
      default:
    }
    this.#change();
  }

  #soundFlows() {
    return this.#lines.audio?.sender.transport?.state === "connected" &&
      ["connected", "completed"].includes(this.#lines.audio.sender.transport.iceTransport?.state);
  }

  #change() {
    if (!this.closed) this.#emit("change");
  }

  #emit(type) {
    this.dispatchEvent(new Event(type));
  }
}

/**
 * Whether the SDP of the other side holds the call: every line in use only
 * sends, or does nothing (protocol section 7.5).
 * @param {string} sdp
 */
export function isHeld(sdp) {
  const [session, ...lines] = sdp.split(/^(?=m=)/m);
  const used = lines.filter((line) => !/^m=\w+ [09] /.test(line));
  return used.length > 0 && used.every((line) =>
    /^a=(inactive|sendonly)\s*$/m.test(line) || /^c=IN IP4 0\.0\.0\.0\s*$/m.test(line) ||
    (!/^a=(sendrecv|recvonly)\s*$/m.test(line) && /^a=(inactive|sendonly)\s*$/m.test(session)));
}

/** Whether every line in use has a UDP candidate. @param {string} sdp our own */
function hasHosts(sdp) {
  const used = sdp.split(/^(?=m=)/m).slice(1).filter((line) => !/^m=\w+ 0 /.test(line));
  return used.every((line) => /^a=candidate:\S+ \d+ udp /im.test(line));
}

/**
 * Whether an offer has room for our own picture.
 * @param {string} sdp
 */
export function wantsVideo(sdp) {
  const video = sdp.split(/^(?=m=)/m).find((part) => part.startsWith("m=video "));
  return video !== undefined && !/^m=video 0 /.test(video) &&
    !/^a=(sendonly|inactive)\s*$/m.test(video);
}
