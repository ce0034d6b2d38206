/** Small parts that several views share. All text that comes from runs goes into them as text. */
// @ts-check

import { html } from "htm/preact";
import * as format from "./format.js";
import { runAddress } from "./router.js";

const STATES = {
  created: "not begun",
  running: "running",
  completed: "completed",
  failed: "failed",
  interrupted: "interrupted",
  killed: "killed",
  pending: "not begun",
  begun: "running",
  stopped: "stopped",
  unknown: "unknown",
};

/** How a run stands, by word and colour. @param {{state: string}} props */
export function State({ state }) {
  const word = Object.hasOwn(STATES, state) ? STATES[/** @type {keyof typeof STATES} */ (state)] : state;
  return html`<span class=${`state ${Object.hasOwn(STATES, state) ? state : "unknown"}`}>${word}</span>`;
}

/** What went wrong. @param {{message: string | undefined}} props */
export function Failure({ message }) {
  return message === undefined ? null : html`<p class="failure" role="alert">${message}</p>`;
}

/** What is odd about a run. @param {{problems: string[]}} props */
export function Problems({ problems }) {
  if (problems.length === 0) return null;
  return html`<ul class="problems" aria-label="Problems">${
    problems.map((line) => html`<li>${line}</li>`)
  }</ul>`;
}

/** A link to a run. @param {{id: string, name?: string}} props */
export function RunLink({ id, name = id }) {
  return html`<a href=${runAddress(id)} title=${id}>${shortened(name)}</a>`;
}

/** Tags as little labels. @param {{tags: string[]}} props */
export function Tags({ tags }) {
  return tags.map((tag) => html`<span class="tag" title=${tag} key=${tag}>${shortened(tag, 40)}</span>`);
}

/**
 * A text of bearable length; the whole stands in the title of what shows it.
 *
 * @param {string} text
 * @param {number} [most] characters
 */
export function shortened(text, most = 120) {
  const characters = [...text.slice(0, 2 * most + 2)];
  return characters.length <= most && text.length <= 2 * most
    ? text
    : `${characters.slice(0, most - 1).join("")}…`;
}

/**
 * Choices of which one holds, as buttons.
 *
 * @param {{label: string, value: string, options: [value: string, text: string, disabled?: boolean][],
 *   onChoose: (value: string) => void}} props
 */
export function Choice({ label, value, options, onChoose }) {
  return html`<div class="choice" role="group" aria-label=${label}>${
    options.map(([each, text, disabled]) =>
      html`
        <button type="button" key=${each} aria-pressed=${each === value} disabled=${disabled ?? false}
          onClick=${() => onChoose(each)}>${text}</button>
      `
    )
  }</div>`;
}

/**
 * A check box with its words.
 *
 * @param {{checked: boolean, onChange: (checked: boolean) => void, children?: unknown}} props
 */
export function Check({ checked, onChange, children }) {
  return html`<label class="check"><input type="checkbox" checked=${checked}
    onChange=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
    onChange(e.currentTarget.checked)} />${children}</label>`;
}

/**
 * Files; those that a browser can show open in a tab of their own.
 *
 * @param {{files: import("../api_types.ts").Artifact[], address: string}} props `address`: what goes before a path
 */
export function FileList({ files, address }) {
  if (files.length === 0) return html`<p class="empty">No files.</p>`;
  const addressOf = (/** @type {string} */ path) =>
    `${address}/${path.split("/").map(encodeURIComponent).join("/")}`;
  return html`
    <table class="values">
      <tbody>${files.map(({ path, bytes }) =>
        html`
          <tr key=${path}>
            <td><a href=${addressOf(path)} target="_blank" rel="noopener">${shortened(path)}</a></td>
            <td class="number">${format.bytes(bytes)}</td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}
