/** Light, dark, or as the system has it; the choice stays with the browser. */
// @ts-check

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";

const KEY = "chatgot-theme";
const THEMES = /** @type {const} */ (["system", "light", "dark"]);
/** What is told when the colours changed. */
export const THEME_CHANGED = "chatgot-theme";

/** @returns {typeof THEMES[number]} */
function chosen() {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "system";
  } catch {
    return "system"; // a browser may keep nothing
  }
}

/** Puts the chosen theme in force; called before anything is drawn. */
export function applyTheme() {
  const theme = chosen();
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event(THEME_CHANGED));
}

/** The switch in the page's head. */
export function ThemeSwitch() {
  const [theme, setTheme] = useState(chosen);
  const choose = (/** @type {Event & {currentTarget: HTMLSelectElement}} */ event) => {
    try {
      localStorage.setItem(KEY, event.currentTarget.value);
    } catch { /* it holds until the next load */ }
    document.documentElement.dataset.theme = event.currentTarget.value;
    dispatchEvent(new Event(THEME_CHANGED));
    setTheme(/** @type {typeof THEMES[number]} */ (event.currentTarget.value));
  };
  return html`<label class="theme"><span class="hidden">Colours</span>
    <select value=${theme} onChange=${choose}>
      <option value="system">auto</option><option value="light">light</option><option value="dark">dark</option>
    </select></label>`;
}

/** A number that grows whenever the colours change, for what is drawn on a canvas. */
export function useTheme() {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const update = () => setVersion((n) => n + 1);
    const system = matchMedia("(prefers-color-scheme: dark)");
    addEventListener(THEME_CHANGED, update);
    system.addEventListener("change", update);
    return () => {
      removeEventListener(THEME_CHANGED, update);
      system.removeEventListener("change", update);
    };
  }, []);
  return version;
}
