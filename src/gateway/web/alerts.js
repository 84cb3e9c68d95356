/** What calls a person to the page: title, icon, notification, vibration; and a screen that stays on. */

/** Milliseconds: buzz, pause, buzz, in the rhythm of the chime. */
const BUZZ = [350, 150, 350];
const BUZZ_EVERY = 3_500;

export class Alerts {
  #icon = document.querySelector("link[rel=icon]");
  #quietTitle = document.title;
  #buzzTimer = 0;
  #notification = null;
  #wakeLock = null;
  #awake = false;

  /** @param {string} title of the window while nothing rings */
  set title(title) {
    this.#quietTitle = title;
    if (!this.#buzzTimer) document.title = title;
  }

  /** Browsers show notifications only where the person allowed them. */
  get mayAskForNotifications() {
    return "Notification" in window && Notification.permission === "default";
  }

  async askForNotifications() {
    await Notification.requestPermission();
  }

  /** @param {string} text what happens @param {string} body who it is */
  ring(text, body) {
    if (this.#buzzTimer) return;
    document.title = `\u25cf ${text}`;
    this.#icon.href = "icon-ringing.svg";
    const buzz = () => navigator.vibrate?.(BUZZ);
    buzz();
    this.#buzzTimer = setInterval(buzz, BUZZ_EVERY);
    this.#notify(text, body);
  }

  quiet() {
    if (!this.#buzzTimer) return;
    clearInterval(this.#buzzTimer);
    this.#buzzTimer = 0;
    navigator.vibrate?.(0);
    document.title = this.#quietTitle;
    this.#icon.href = "icon.svg";
    this.#notification?.close();
    this.#notification = null;
  }

  /** @param {boolean} on keep the screen lit, as long as the page is visible */
  async stayAwake(on) {
    const held = this.#wakeLock;
    this.#awake = on;
    if (!on) {
      this.#wakeLock = null;
      held?.release().catch(() => {});
    } else if ((!held || held.released) && document.visibilityState === "visible") {
      const lock = await navigator.wakeLock?.request("screen").catch(() => null);
      if (this.#awake && (!this.#wakeLock || this.#wakeLock.released)) this.#wakeLock = lock;
      else lock?.release().catch(() => {});
    }
  }

  #notify(text, body) {
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    try {
      const notification = new Notification(text, {
        body,
        icon: "icon-ringing.svg",
        tag: "ring",
        requireInteraction: true,
      });
      notification.onclick = () => {
        window.focus();
        notification.close();
      };
      this.#notification = notification;
    } catch {
      // Some phones show notifications of installed pages only.
    }
  }
}
