/**
 * Light or dark: dark at night, where the device asks for it, and in every ring
 * and call.
 */

/** Hours of the day: dark from the first until the second. */
const NIGHT = [21, 6];
/** Milliseconds between two looks at the clock. */
const LOOK_AGAIN = 60_000;

/**
 * Keeps `data-theme` of the document right from now on.
 * @param {() => boolean} inCall
 */
export function followTheme(inCall) {
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const update = () => {
    const hour = new Date().getHours();
    const night = hour >= NIGHT[0] || hour < NIGHT[1];
    document.documentElement.dataset.theme = wish.matches || night || inCall() ? "dark" : "light";
  };
  wish.addEventListener("change", update);
  setInterval(update, LOOK_AGAIN);
  return { update };
}
