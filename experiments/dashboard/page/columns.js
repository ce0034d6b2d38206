/** Which columns the table of runs has: their titles, and the menu in which they are chosen. */
// @ts-check

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { setQuery } from "./router.js";

const TEXT = new Set([
  "state",
  "created",
  "tags",
  "notes",
  "parent",
  "config_name",
  "id",
  "name",
  "host",
  "adapter",
  "git_commit",
]);

/** Whether a column mostly holds numbers, which stand to the right. @param {string} column */
export function isNumeric(column) {
  return !TEXT.has(column) &&
    !/^(data|tracking)\.|corpus|tokenizer|prompt|schedule|optimizer$|_type$/.test(column);
}

/** A column's title: of a key of the configuration its last part. @param {string} column */
export function columnTitle(column) {
  const [, metric, part] = /^([\w ]+)\.(min|max)$/.exec(column) ?? [];
  if (metric !== undefined) return `${part} ${metric.replaceAll("_", " ")}`;
  const last = /^[\w.]+$/.test(column) ? column.slice(column.lastIndexOf(".") + 1) : column;
  return last.slice(0, 60).replaceAll("_", " ");
}

/**
 * @param {{groups: import("../api_types.ts").ColumnGroup[], shown: string[]}} props
 */
export function ColumnsMenu({ groups, shown }) {
  const [wanted, setWanted] = useState("");
  const toggle = (/** @type {string} */ name) =>
    setQuery({ column: shown.includes(name) ? shown.filter((other) => other !== name) : [...shown, name] });
  return html`
    <details class="menu">
      <summary class="button">Columns</summary>
      <div class="sheet">
        <label><span class="hidden">Find a column</span><input type="search" placeholder="find a column" value=${wanted}
          onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
            setWanted(e.currentTarget.value)} /></label>
        <button type="button" onClick=${() => setQuery({ column: undefined })}>the usual ones</button>
        <div class="list">${groups.map(({ title, names }) => {
          const found = names.filter((name) => name.includes(wanted.trim())).slice(0, 300);
          return found.length === 0
            ? ""
            : html`<fieldset key=${title}><legend>${title}</legend>${
              found.map((name) =>
                html`
                  <label class="check"
                    key=${name}><input type="checkbox" checked=${shown.includes(name)} onChange=${() =>
                      toggle(name)} />${name}</label>
                `
              )
            }</fieldset>`;
        })}</div>
      </div>
    </details>
  `;
}
