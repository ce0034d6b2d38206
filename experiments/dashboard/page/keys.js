/** Keys that work anywhere on the page, and the list of them. Where one types, they are just letters. */
// @ts-check

import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";

/** What the page knows, for the list. */
const KNOWN = [
  ["/", "filter the runs"],
  ["j, k", "next and previous run of the table"],
  ["x", "choose the run for a comparison"],
  ["c", "compare the chosen runs"],
  ["g", "to the table of runs"],
  ["e", "to the experiments"],
  ["← →", "move along a chart that has the focus"],
  ["?", "this list"],
];

/**
 * Makes keys do something while the component is there.
 *
 * @param {Record<string, () => unknown>} actions by key
 */
export function useShortcuts(actions) {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (
        event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)
      ) return;
      const action = Object.hasOwn(latest.current, event.key) ? latest.current[event.key] : undefined;
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (target instanceof HTMLInputElement) return !["checkbox", "range", "radio"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** The list of keys: a button, and a dialog that it or `?` opens. */
export function KeyHelp() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const open = () => dialog.current?.showModal();
  useShortcuts({ "?": open });
  return html`
    <button type="button" class="plain" onClick=${open} aria-label="Keys">?</button>
    <dialog ref=${dialog} aria-label="Keys">
      <h2>Keys</h2>
      <dl class="keys">${KNOWN.map(([key, what]) =>
        html`
          <dt><kbd>${key}</kbd></dt>
          <dd>${what}</dd>
        `
      )}</dl>
      <form method="dialog"><button>Close</button></form>
    </dialog>
  `;
}
