/** The table of runs: filtered, sorted, with the columns of one's choice, page by page; runs are chosen to be compared. */
// @ts-check

import { html } from "htm/preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ColumnsMenu, columnTitle, isNumeric } from "./columns.js";
import * as format from "./format.js";
import { useShortcuts } from "./keys.js";
import { Failure, shortened, State, Tags } from "./parts.js";
import { compareAddress, go, runAddress, setQuery, useAddress, withQuery } from "./router.js";
import { useAnswer, useNews } from "./server.js";

/** @typedef {import("../api_types.ts").RunTable} RunTable */
/** @typedef {import("../api_types.ts").RunRow} RunRow */

const ROWS = 100;
/** Columns that are shown when nobody asked for others. */
export const USUAL_COLUMNS = [
  "state",
  "created",
  "duration",
  "step",
  "train_loss",
  "val_loss",
  "val_loss.min",
  "training.learning_rate",
  "tags",
];

/** The view. */
export function RunsView() {
  const { searchParams: query } = useAddress();
  const { version, isLive } = useNews({ list: true });
  const chosenColumns = query.getAll("column");
  const columns = chosenColumns.length > 0 ? chosenColumns : USUAL_COLUMNS;
  const page = Math.max(1, Number(query.get("page")) || 1);
  const asked = new URLSearchParams(columns.map((column) => ["column", column]));
  for (const key of ["where", "sort", "desc", "archived"]) {
    if (query.has(key)) asked.set(key, query.get(key) ?? "");
  }
  asked.set("offset", String((page - 1) * ROWS));
  asked.set("limit", String(ROWS));
  /** @type {{answer: RunTable | undefined, error: string | undefined, isStale: boolean}} */
  const { answer, error, isStale } = useAnswer(`/api/runs?${asked}`, version);
  const picked = query.getAll("pick");
  useEffect(() => {
    document.title = "Runs · ChatGoT";
  }, []);
  return html`<div class="view runs">
    <h1 class="hidden">Runs</h1>
    <div class="toolbar">
      <${Filter} text=${query.get("where") ?? ""} />
      <span class="count" role="status">${answer === undefined ? "…" : counted(answer)}</span>
      <span class="spring"></span>
      ${
    picked.length > 0
      ? html`
        <span>${picked.length} chosen</span>
        <a class="button strong" href=${compareAddress(picked)}>Compare</a>
        <button type="button" onClick=${() => setQuery({ pick: undefined })}>Clear</button>
      `
      : ""
  }
      ${answer === undefined ? "" : html`<${ColumnsMenu} groups=${answer.columns} shown=${columns} />`}
      <label class="check"><input type="checkbox" checked=${query.has("archived")}
        onChange=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
    setQuery({ archived: e.currentTarget.checked, page: undefined })} />archived</label>
      <span class=${`live ${isLive ? "on" : ""}`} title=${
    isLive ? "shows changes as they happen" : "not connected"
  }>live</span>
    </div>
    <${Failure} message=${error} />
    ${
    answer === undefined ? "" : html`
      <${Table} answer=${answer} columns=${columns} picked=${picked} isStale=${isStale}
        query=${query} />
              <${Pages} total=${answer.total} page=${page} />
              ${answer.foreign.length > 0
                ? html`<p class="note">Not runs, and left alone: ${
                  answer.foreign.slice(0, 5).map((name) => shortened(name, 40)).join(", ")
                }${answer.foreign.length > 5 ? ` and ${answer.foreign.length - 5} more` : ""}.</p>`
                : ""}
    `
  }
  </div>`;
}

/** @param {RunTable} table */
function counted({ total, all }) {
  const runs = (/** @type {number} */ n) => `${n} run${n === 1 ? "" : "s"}`;
  return total === all ? runs(total) : `${total} of ${runs(all)}`;
}

/** @param {{text: string}} props */
function Filter({ text }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  useEffect(() => {
    if (typed === text) return;
    const timer = setTimeout(() => setQuery({ where: typed, page: undefined }), 250);
    return () => clearTimeout(timer);
  }, [typed]);
  useShortcuts({ "/": () => input.current?.focus() });
  return html`<label class="filter"><span class="hidden">Filter runs</span>
    <input ref=${input} type="search" value=${typed} spellcheck="false" autocomplete="off"
      placeholder="name, or: val_loss < 1.5 and n_layer = 4" title="words of a name, tag or note, or an expression as of chatgot runs --where; / comes here"
      onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
    setTyped(e.currentTarget.value)} /></label>`;
}

/**
 * @param {{answer: RunTable, columns: string[], picked: string[], isStale: boolean, query: URLSearchParams}} props
 */
function Table({ answer, columns, picked, isStale, query }) {
  const { rows } = answer;
  const [at, setAt] = useState(-1);
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const toggle = useCallback((/** @type {string} */ id) => {
    const now = new URL(location.href).searchParams.getAll("pick");
    setQuery({ pick: now.includes(id) ? now.filter((other) => other !== id) : [...now, id] });
  }, []);
  const move = (/** @type {number} */ by) => {
    const next = Math.min(rows.length - 1, Math.max(0, at + by));
    setAt(next);
    const link = body.current?.rows[next]?.querySelector("a");
    link?.focus();
    link?.scrollIntoView({ block: "nearest" });
  };
  useShortcuts({
    j: () => move(1),
    k: () => move(-1),
    x: () => rows[at] !== undefined && toggle(rows[at].id),
    c: () => picked.length > 0 && go(compareAddress(picked)),
  });
  const sort = query.get("sort") ?? "";
  const isDescending = query.has("desc");
  return html`<div class=${`scroll ${
    isStale ? "stale" : ""
  }`} role="region" aria-label="Table of runs" tabindex="0"><table class="runs">
    <thead><tr>
      <th class="pick"><span class="hidden">Compare</span></th>
      <${Header} column="name" title="Run" sort=${sort} isDescending=${isDescending} />
      ${
    columns.map((column) =>
      html`<${Header} key=${column} column=${column} title=${
        columnTitle(column)
      } sort=${sort} isDescending=${isDescending} />`
    )
  }
    </tr></thead>
    <tbody ref=${body}>${
    rows.map((row, i) =>
      html`
        <${Row} key=${row.id} row=${row} columns=${columns} isPicked=${picked.includes(row.id)}
          onPick=${toggle} onFocus=${() => setAt(i)} />
      `
    )
  }</tbody></table>
    ${
    rows.length === 0
      ? html`<p class="empty">${
        answer.all === 0
          ? "No runs here yet. They appear as soon as a training begins."
          : "No run is as the filter wants it."
      }</p>`
      : ""
  }
  </div>`;
}

/** @param {{column: string, title: string, sort: string, isDescending: boolean}} props */
function Header({ column, title, sort, isDescending }) {
  const isSorted = sort === column;
  const next = isSorted && !isDescending
    ? { sort: column, desc: true }
    : isSorted
    ? { sort: undefined, desc: undefined }
    : { sort: column, desc: undefined };
  const direction = isSorted ? (isDescending ? "descending" : "ascending") : undefined;
  return html`<th scope="col" aria-sort=${direction} class=${`${isNumeric(column) ? "number" : ""} ${
    column === "name" ? "name" : ""
  }`}>
    <a href=${
    withQuery({ ...next, page: undefined })
  } title=${column}>${title}<span aria-hidden="true" class="arrow">${
    isSorted ? (isDescending ? "▾" : "▴") : ""
  }</span></a></th>`;
}

/**
 * @param {{row: RunRow, columns: string[], isPicked: boolean, onPick: (id: string) => void, onFocus: () => void}} props
 */
function Row({ row, columns, isPicked, onPick, onFocus }) {
  const { id, name, archived, problems, cells } = row;
  return html`<tr class=${`${isPicked ? "picked" : ""} ${archived ? "archived" : ""}`} onFocusIn=${onFocus}>
    <td class="pick"><input type="checkbox" checked=${isPicked} aria-label=${`compare ${
    shortened(id)
  }`} onChange=${() => onPick(id)} /></td>
    <th scope="row" class="name"><a href=${runAddress(id)} title=${id}>${shortened(name)}</a>${
    problems.length > 0
      ? html`<span class="warn" title=${problems.join("\n")} role="img" aria-label=${
        problems.join("; ")
      }>!</span>`
      : ""
  }${name === id ? "" : html`<span class="id">${shortened(id)}</span>`}</th>
    ${
    columns.map((column, i) =>
      html`<td key=${column} class=${isNumeric(column) ? "number" : ""}>${
        content(column, cells[i] ?? null, row)
      }</td>`
    )
  }
  </tr>`;
}

/** @param {string} column @param {import("../api_types.ts").Cell} cell @param {RunRow} row */
function content(column, cell, { tags }) {
  if (column === "state") return html`<${State} state=${String(cell)} />`;
  if (column === "tags") return html`<${Tags} tags=${tags} />`;
  return shortened(format.cell(column, cell));
}

/** @param {{total: number, page: number}} props */
function Pages({ total, page }) {
  const pages = Math.max(1, Math.ceil(total / ROWS));
  if (pages === 1) return null;
  const link = (/** @type {number} */ to, /** @type {string} */ text) =>
    to < 1 || to > pages
      ? html`<span class="button off">${text}</span>`
      : html`<a class="button" href=${withQuery({ page: to === 1 ? undefined : String(to) })}>${text}</a>`;
  return html`<nav class="pages" aria-label="Pages">${
    link(page - 1, "Previous")
  }<span>Page ${page} of ${pages}</span>${link(page + 1, "Next")}</nav>`;
}
