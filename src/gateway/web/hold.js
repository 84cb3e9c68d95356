/** A button that acts after it was held for a while: by finger, mouse or key. */

/** How long, in milliseconds; the ring in the style sheet fills as long. */
export const HOLD = 1000;

/**
 * @param {HTMLElement} button
 * @param {() => void} act
 */
export function onHold(button, act) {
  let timer = 0;
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    button.classList.remove("holding");
  };
  const start = () => {
    stop();
    button.classList.add("holding");
    timer = setTimeout(() => {
      stop();
      act();
    }, HOLD);
  };
  const isKey = (event) => event.key === " " || event.key === "Enter";
  button.addEventListener("pointerdown", (event) => {
    if (event.button === 0) start();
  });
  for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
    button.addEventListener(end, stop);
  }
  button.addEventListener("keydown", (event) => {
    if (!isKey(event)) return;
    // A click at the end of it would be a second meaning of the same key.
    event.preventDefault();
    if (!event.repeat) start();
  });
  button.addEventListener("keyup", (event) => {
    if (isKey(event)) stop();
  });
  // A long touch opens no menu.
  button.addEventListener("contextmenu", (event) => event.preventDefault());
}
