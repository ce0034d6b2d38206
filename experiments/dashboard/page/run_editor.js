/** Changing a run's tags and note, and putting it out of sight; there only when the dashboard was started with `--write`. */
// @ts-check

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Failure, shortened } from "./parts.js";
import { ask } from "./server.js";

/** @param {{run: import("../api_types.ts").RunDetails}} props */
export function RunEditor({ run }) {
  const [error, setError] = useState(/** @type {string | undefined} */ (undefined));
  const [tag, setTag] = useState("");
  const [notes, setNotes] = useState(/** @type {string | undefined} */ (undefined));
  const change = async (/** @type {import("../api_types.ts").RunChange} */ wanted) => {
    try {
      await ask(`/api/runs/${encodeURIComponent(run.id)}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(wanted),
      });
      setError(undefined);
      setTag("");
      setNotes(undefined);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    }
  };
  const submit = (/** @type {Event} */ event, /** @type {import("../api_types.ts").RunChange} */ wanted) => {
    event.preventDefault();
    change(wanted);
  };
  return html`
    <details class="editor">
      <summary>Edit</summary>
      <${Failure} message=${error} />
      <form onSubmit=${(/** @type {Event} */ e) => submit(e, { add_tags: [tag.trim()] })}>
          <label>Tag <input value=${tag} maxlength="200" onInput=${(
            /** @type {Event & {currentTarget: HTMLInputElement}} */ e,
          ) => setTag(e.currentTarget.value)} /></label>
          <button disabled=${tag.trim() === ""}>Add</button>
          ${run.tags.map((each) =>
            html`<button type="button" key=${each} onClick=${() =>
              change({ remove_tags: [each] })} aria-label=${`remove tag ${each}`}>${
              shortened(each, 40)
            } ×</button>`
          )}
        </form>
      <form onSubmit=${(/** @type {Event} */ e) => submit(e, { notes: notes ?? run.notes })}>
        <label>Note <textarea rows="3" value=${notes ?? run.notes} onInput=${(
          /** @type {Event & {currentTarget: HTMLTextAreaElement}} */ e,
        ) => setNotes(e.currentTarget.value)}></textarea></label>
        <button disabled=${notes === undefined || notes === run.notes}>Save</button>
      </form>
      <button type="button" onClick=${() => change({ archived: !run.archived })}>${run.archived
        ? "Take out of the archive"
        : "Archive"}</button>
    </details>
  `;
}
