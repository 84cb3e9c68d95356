/**
 * The indoor page: one person, one station, one call at a time. Puts the parts
 * together; each part knows nothing of the others.
 *
 *   kandy.js (wire) --> call.js (a call) --> app.js --> view.js (screen)
 *                       media.js (WebRTC)       |----> sound.js, alerts.js, store.js
 */

import { Alerts } from "./alerts.js";
import { Call } from "./call.js";
import { KandyClient } from "./kandy.js";
import { Permissions, canCall, firstNotice } from "./notices.js";
import { Opening } from "./opening.js";
import { Picture } from "./picture.js";
import { RequestError, Rest } from "./rest.js";
import { onHold } from "./hold.js";
import { describe } from "./screen.js";
import { Sound } from "./sound.js";
import { Meter } from "./stats.js";
import { Messages, choices, choose, forgetLogin, saveLogin, savedLogin } from "./store.js";
import { followTheme } from "./theme.js";
import { $, paint, paintClock, paintFigures, paintLogin, paintMessages, paintNotice, paintSettings, paintVisitors, repaintWords } from "./view.js";
import { Visitors } from "./visitors.js";
import { duration, setLanguage, word } from "./words.js";

/** Milliseconds without the station before the page says so: a short gap is no news. */
const OFFLINE_PATIENCE = 1_500;
/** Gaps shorter than this, in milliseconds, do not enter the message list. */
const OFFLINE_NEWS = 15_000;
/** Milliseconds between two attempts of a saved log-in. */
const LOGIN_RETRY = 3_000;

class App {
  #sound = new Sound();
  #alerts = new Alerts();
  #messages = new Messages();
  #visitors = new Visitors();
  #opening = new Opening();
  #permissions = new Permissions();
  #picture = new Picture($("remote"), $("backdrop"), $("still"));
  #theme = followTheme(() => this.#call !== null);

  /** @type {Rest|null} */
  #rest = null;
  /** @type {KandyClient|null} */
  #client = null;
  /** @type {{door: {address: string, name: string}, iceServers: RTCIceServer[], demo: boolean}|null} */
  #station = null;
  #address = "";
  #signingIn = false;
  #loginError = "";
  #signedOut = new AbortController();

  #offlineSince = 0;
  #patience = 0;
  #unreachable = false;

  /** @type {Call|null} */
  #call = null;
  /** Somebody rings while we talk. @type {Call|null} */
  #waiting = null;
  /** How the last call ended. @type {import("./store.js").Message|null} */
  #last = null;
  #bellError = "";
  /** What the page asks for at its top. @type {import("./notices.js").Notice|null} */
  #notice = null;
  #meter = null;
  #clockTimer = 0;

  start() {
    this.#listen();
    repaintWords();
    this.#permissions.watch();
    const login = savedLogin();
    if (login) this.#resume(login);
    else this.#render();
  }

  // --- signing in and out ---------------------------------------------------

  async #submit() {
    const address = $("login-user").value.trim();
    const password = $("login-password").value;
    if (!address || !password || this.#signingIn) return;
    this.#signingIn = true;
    this.#loginError = "";
    this.#render();
    try {
      await this.#signIn(address, password);
      if ($("login-remember").checked) saveLogin(address, password);
      $("login-password").value = "";
    } catch (error) {
      this.#loginError = loginSentence(error, address);
    }
    this.#signingIn = false;
    this.#render();
    if (this.#loginError) $("login-password").focus();
  }

  /** Signs in with what this device remembers, for as long as it takes. */
  async #resume({ address, password }) {
    const { signal } = this.#signedOut;
    while (!signal.aborted) {
      try {
        await this.#signIn(address, password);
        break;
      } catch (error) {
        if (error.needsLogin) {
          this.#refused(address);
          return;
        }
      }
      this.#address = address;
      this.#unreachable = true;
      this.#render();
      await new Promise((resolve) => setTimeout(resolve, LOGIN_RETRY));
    }
    this.#render();
  }

  async #signIn(address, password) {
    const { signal } = this.#signedOut;
    const rest = new Rest(address, password);
    const station = await rest.request("GET", "/station.json");
    if (signal.aborted) return;
    this.#rest = rest;
    this.#address = address;
    this.#station = {
      door: { address: String(station.door?.address ?? ""), name: String(station.door?.name ?? word("title")) },
      iceServers: Array.isArray(station.iceServers) ? station.iceServers : [],
      demo: station.demo === true,
      openToken: typeof station.openToken === "string" ? station.openToken : "",
    };
    this.#unreachable = false;
    const client = new KandyClient(rest, address, () => rest.request("GET", "/station.json"));
    this.#client = client;
    client.addEventListener("online", () => this.#online());
    client.addEventListener("offline", () => this.#offline());
    client.addEventListener("refused", () => this.#refused(address));
    client.addEventListener("incoming", (event) => this.#incoming(event.detail.leg));
    client.start();
    this.#alerts.title = this.#station.door.name;
  }

  async #signOut() {
    $("sheet").close();
    forgetLogin();
    this.#messages.clear();
    this.#picture.forgetStill();
    this.#last = null;
    await this.#leave();
    $("login-user").focus();
  }

  /** The station does not take the password any more. */
  async #refused(address) {
    forgetLogin();
    $("login-user").value = address;
    this.#loginError = word("loginEnded");
    await this.#leave();
    $("login-password").focus();
  }

  #leave() {
    this.#signedOut.abort();
    this.#signedOut = new AbortController();
    clearTimeout(this.#patience);
    this.#unreachable = false;
    this.#offlineSince = 0;
    this.#call?.end();
    this.#waiting?.reject();
    this.#visitors.forget();
    const stopped = this.#client?.stop();
    this.#client = null;
    this.#station = null;
    this.#rest = null;
    this.#render();
    return stopped;
  }

  // --- being reachable ------------------------------------------------------

  #online() {
    clearTimeout(this.#patience);
    if (this.#offlineSince && Date.now() - this.#offlineSince > OFFLINE_NEWS) {
      const seconds = Math.round((Date.now() - this.#offlineSince) / 1000);
      this.#messages.add({ time: this.#offlineSince, reason: "wentOffline", code: duration(seconds) });
    }
    this.#offlineSince = 0;
    this.#unreachable = false;
    this.#visitors.load(this.#rest);
    this.#render();
  }

  #offline() {
    this.#offlineSince ||= Date.now();
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      this.#unreachable = true;
      this.#render();
    }, OFFLINE_PATIENCE);
    this.#render();
  }

  // --- calls ----------------------------------------------------------------

  #place(microphone) {
    if (this.#call || !this.#client?.online) return;
    this.#sound.unlock();
    const camera = microphone && $("camera-choice").checked;
    this.#take(Call.place(this.#client, this.#station.door, { microphone, camera }, this.#station.iceServers));
  }

  #incoming(leg) {
    if (!canCall()) return; // It rings on the other devices.
    if (leg.peer.address === this.#station.door.address) leg.peer.name = this.#station.door.name;
    const call = Call.receive(leg, this.#station.iceServers);
    if (!this.#call) {
      this.#take(call);
      return;
    }
    if (this.#waiting) {
      call.addEventListener("over", () => this.#remember(call), { once: true });
      return;
    }
    this.#waiting = call;
    call.addEventListener("over", () => {
      if (this.#waiting !== call) return;
      this.#waiting = null;
      this.#remember(call);
      this.#render();
    }, { once: true });
    this.#render();
  }

  /** Makes the call the one on the screen. */
  #take(call) {
    this.#call = call;
    this.#last = null;
    this.#bellError = "";
    $("sheet").close();
    $("figures").hidden = true;
    call.addEventListener("change", () => this.#render());
    call.addEventListener("over", () => this.#over(call), { once: true });
    this.#theme.update();
    this.#render();
  }

  #over(call) {
    this.#call = null;
    this.#picture.clear();
    $("own").srcObject = null;
    this.#last = this.#remember(call);
    if (this.#last.reason === "busy") this.#sound.play("busy");
    this.#visitors.load(this.#rest);
    const next = this.#waiting;
    this.#waiting = null;
    if (next && next.phase === "ringing") this.#take(next);
    this.#theme.update();
    this.#render();
  }

  #remember(call) {
    const { outcome } = call;
    this.#messages.add({
      time: call.startedAt,
      name: call.peer.name,
      incoming: call.incoming,
      seconds: call.seconds,
      ...outcome,
    });
    return this.#messages.list[0];
  }

  #answer() {
    this.#sound.unlock();
    this.#call?.answer({ camera: $("camera-choice").checked });
  }

  #toggleMute() {
    const media = this.#call?.media;
    media?.setMuted(!media.muted && !media.unheard);
  }

  async #pressBell() {
    try {
      await this.#rest.request("POST", "/demo/bell", {});
      this.#bellError = "";
    } catch (error) {
      this.#bellError = word("bellFailed", { code: error.status });
    }
    this.#render();
  }

  // --- screen ---------------------------------------------------------------

  #render() {
    const call = this.#call;
    const screen = describe({
      login: !this.#client && !this.#unreachable,
      station: this.#station,
      call,
      online: this.#client?.online === true,
      ready: canCall() && this.#client?.online === true,
      unreachable: this.#unreachable,
      last: this.#last,
      newest: this.#messages.list.find((message) => message.incoming && message.name === this.#station?.door.name),
      bellError: this.#bellError,
      door: this.#opening,
      picture: this.#picture,
    });
    paint(screen);
    paintLogin(this.#loginError, this.#signingIn);
    this.#renderNotice();
    this.#renderMedia();
    this.#renderAlerts(screen.status);
  }

  #renderNotice() {
    const { phase, media } = this.#call ?? {};
    const inCall = phase === "talking" || phase === "held";
    if (inCall && this.#waiting) {
      paintNotice({ text: "alsoRinging" }, this.#waiting.peer);
    } else if (inCall && this.#unreachable) {
      paintNotice({ text: "lostInCall" });
    } else if (inCall && (media.camera === "refused" || media.camera === "missing")) {
      paintNotice({ text: "noticeCameraDenied" });
    } else {
      this.#notice = this.#client
        ? firstNotice({
            microphone: media?.unheard ? media.microphone : this.#permissions.microphone,
            sound: this.#sound.unlocked && !this.#picture.silent,
            inCall: Boolean(this.#call),
          })
        : null;
      paintNotice(this.#notice);
    }
  }

  #renderMedia() {
    const call = this.#call;
    const answered = call?.answeredAt > 0;
    if (answered) this.#picture.show(call.media.remote, { keepStill: call.peer.address === this.#station?.door.address });
    const own = call?.media.own ?? null;
    if ($("own").srcObject !== own) $("own").srcObject = own;
    $("own").hidden = !own;
    if (answered === Boolean(this.#meter)) return;
    if (answered) {
      paintFigures(null);
      this.#meter = new Meter(call.media.connection, paintFigures);
      const tick = () => paintClock(duration(call.seconds));
      tick();
      this.#clockTimer = setInterval(tick, 1000);
    } else {
      this.#meter.stop();
      this.#meter = null;
      clearInterval(this.#clockTimer);
      paintClock("");
      $("figures").hidden = true;
    }
  }

  #renderAlerts(status) {
    const { phase, ringsThere, peer } = this.#call ?? {};
    if (phase === "ringing") {
      this.#sound.play("chime");
      this.#alerts.ring(status, peer.name);
    } else {
      if (phase === "calling" && ringsThere) this.#sound.play("ringBack");
      else if (this.#call) this.#sound.play("");
      else this.#sound.stopLoop();
      this.#alerts.quiet();
    }
    this.#alerts.stayAwake(Boolean(this.#call));
  }

  /** The station's picture stands on the quiet screen until a newer one was seen here. */
  async #newVisitor() {
    paintVisitors(this.#visitors.list);
    const [newest] = this.#visitors.list;
    if (newest) await this.#picture.keep(newest.blob, newest.time);
    this.#render();
  }

  #renderSheet() {
    paintMessages(this.#messages.list, this.#messages.unseen);
    paintSettings(this.#alerts.mayAskForNotifications, this.#address);
  }

  // --- hands ----------------------------------------------------------------

  #listen() {
    const click = (id, act) => $(id).addEventListener("click", act);
    $("login").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sound.unlock();
      this.#submit();
    });
    click("look", () => this.#place(false));
    click("talk", () => this.#place(true));
    click("answer", () => this.#answer());
    click("reject", () => this.#call?.reject());
    click("end", () => this.#call?.end());
    click("mute", () => this.#toggleMute());
    click("camera", () => this.#call?.media.pauseCamera(!this.#call.media.cameraPaused));
    click("bell", () => this.#pressBell());
    onHold($("open"), () => this.#opening.ask(this.#rest, this.#station));
    click("bars", () => this.#toggleFigures());
    click("messages", () => this.#openSheet());
    click("sheet-close", () => $("sheet").close());
    click("photo-close", () => $("photo").close());
    click("message-clear", () => this.#messages.clear());
    click("sign-out", () => this.#signOut());
    click("notify", async () => {
      await this.#alerts.askForNotifications();
      this.#renderSheet();
    });
    click("notice-action", () => this.#cure(this.#notice?.cure));
    for (const button of document.querySelectorAll("[data-language]")) {
      button.addEventListener("click", () => this.#speak(button.dataset.language));
    }
    $("camera-choice").checked = choices().camera === true;
    $("camera-choice").addEventListener("change", (event) => choose("camera", event.target.checked));
    $("sheet").addEventListener("close", () => this.#messages.markSeen());
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("pointerdown", () => this.#wakeSound());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      this.#client?.wake();
      this.#render();
    });
    window.addEventListener("online", () => this.#client?.wake());
    window.addEventListener("pagehide", () => {
      this.#call?.media.close();
      this.#client?.stop({ last: true });
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) location.reload();
    });
    this.#messages.addEventListener("change", () => this.#renderSheet());
    this.#visitors.addEventListener("change", () => this.#newVisitor());
    this.#opening.addEventListener("change", () => this.#render());
    this.#permissions.addEventListener("change", () => this.#render());
    this.#sound.addEventListener("change", () => this.#render());
    this.#picture.addEventListener("change", () => this.#render());
    this.#renderSheet();
  }

  #key(event) {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || $("sheet").open) return;
    if (event.target.closest("input")?.type !== "checkbox" && event.target.closest("input")) return;
    this.#wakeSound();
    const phase = this.#call?.phase;
    const key = event.key.toLowerCase();
    // Enter on a button presses that button.
    const enter = key === "enter" && !event.target.closest("button");
    if (phase === "ringing" && (key === "a" || enter)) this.#answer();
    else if (phase === "ringing" && key === "r") this.#call.reject();
    else if (phase && phase !== "ringing" && key === "e") this.#call.end();
    else if ((phase === "talking" || phase === "held") && key === "m") this.#toggleMute();
  }

  #wakeSound() {
    if (this.#client && !this.#sound.unlocked) this.#sound.unlock();
    if (this.#picture.silent) this.#picture.play();
  }

  #cure(cure) {
    if (cure === "secure") location.protocol = "https:";
    else if (cure === "microphone") this.#permissions.ask();
    else if (cure === "sound") this.#wakeSound();
  }

  #toggleFigures() {
    const { hidden } = $("figures");
    $("figures").hidden = !hidden;
    $("bars").setAttribute("aria-expanded", String(hidden));
  }

  #openSheet() {
    this.#renderSheet();
    this.#visitors.load(this.#rest);
    $("sheet").showModal();
  }

  #speak(language) {
    setLanguage(language);
    repaintWords();
    paintVisitors(this.#visitors.list);
    this.#renderSheet();
    this.#render();
  }
}

function loginSentence(error, address) {
  if (!(error instanceof RequestError)) return word("loginStation", { code: error.name });
  if (error.needsLogin) return word(address.includes("@") ? "loginWrong" : "loginWhole");
  if (error.status === 0) return word("loginUnreachable");
  return word("loginStation", { code: error.code || error.status });
}

new App().start();
