/**
 * The words of the page in the language of the person. Elements carry the key
 * of their sentence: `data-word` for text, `data-word-label` for `aria-label`.
 */

import de from "./words/de.js";
import en from "./words/en.js";
import { choices, choose } from "./store.js";

/** @type {Record<string, Record<string, string>>} */
const LANGUAGES = { en, de };

let language = choices().language in LANGUAGES ? choices().language : preferred();

function preferred() {
  const wished = navigator.languages.map((tag) => tag.slice(0, 2));
  return wished.find((tag) => tag in LANGUAGES) ?? "en";
}

export function currentLanguage() {
  return language;
}

/** @param {"en"|"de"} tag */
export function setLanguage(tag) {
  language = tag;
  choose("language", tag);
}

/**
 * One sentence.
 * @param {string} key
 * @param {Record<string, string|number>} [values] for `{name}` and its like
 */
export function word(key, values = {}) {
  const text = LANGUAGES[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Fills in every element below `root` that asks for a word. */
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
  for (const element of root.querySelectorAll("[data-word-label]")) {
    element.setAttribute("aria-label", word(element.dataset.wordLabel));
  }
}

/** A moment as people say it: `today 14:05`, `Mon 14:05`, `3 Mar 14:05`. */
export function moment(time) {
  const date = new Date(time);
  const clock = date.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return word("today", { clock });
  if (days === 1) return word("yesterday", { clock });
  const shape = days < 7 ? { weekday: "long" } : { day: "numeric", month: "short" };
  return `${date.toLocaleDateString(language, shape)} ${clock}`;
}

/** @param {number} seconds as `3:07` or `1:02:07` */
export function duration(seconds) {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
