/** What the model wrote on the way: one text at a time, with a slider along the steps, or all below one another. */
// @ts-check

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as format from "./format.js";
import { Check, Failure } from "./parts.js";
import { setQuery, useAddress } from "./router.js";
import { useAnswer } from "./server.js";

/** @typedef {import("../api_types.ts").Sample} Sample */

/** @param {{run: import("../api_types.ts").RunDetails, version: number}} props */
export function RunSamples({ run, version }) {
  const { searchParams: query } = useAddress();
  /** @type {{answer: Sample[] | undefined, error: string | undefined}} */
  const { answer: samples, error } = useAnswer(`/api/runs/${encodeURIComponent(run.id)}/samples`, version);
  const wanted = query.get("sample");
  const [at, setAt] = useState(
    /** @type {number | undefined} */ (wanted === null ? undefined : Number(wanted)),
  );
  useEffect(() => setQuery({ sample: at === undefined ? undefined : String(at) }), [at]);
  if (samples === undefined) return html`<${Failure} message=${error} />`;
  if (samples.length === 0) return html`<p class="empty">No text yet.</p>`;
  const last = samples.length - 1;
  const shown = Math.min(last, Math.max(0, at ?? last));
  const isAll = query.has("all");
  const sample = samples[shown];
  return html`<div class="toolbar">
      ${
    isAll ? "" : html`<label class="slider wide">step <input type="range" min="0" max=${last} value=${shown}
        aria-valuetext=${`step ${format.number(sample?.step ?? null)}`}
        onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
      setAt(Number(e.currentTarget.value))} />
        <output>${format.number(sample?.step ?? null)}</output></label>`
  }
      <${Check} checked=${isAll} onChange=${(/** @type {boolean} */ on) =>
    setQuery({ all: on })}>all ${samples.length}<//>
    </div>
    ${
    (isAll ? samples.toReversed() : sample === undefined ? [] : [sample]).map((each, i) =>
      html`<${Text} key=${isAll ? i : "one"} sample=${each} />`
    )
  }`;
}

/** @param {{sample: Sample}} props */
function Text({ sample }) {
  return html`
    <article class="sample">
      <header>step ${format.number(sample.step)} <span>${format.time(sample.time)}</span></header>
      <pre><b>${sample.prompt}</b>${sample.text}</pre>
    </article>
  `;
}
