/** The page: its head, and the view that the address names. */
// @ts-check

import { html, render } from "htm/preact";
import { KeyHelp, useShortcuts } from "./keys.js";
import { CompareView } from "./compare_view.js";
import { ExperimentsView } from "./experiments_view.js";
import { ExperimentView } from "./experiment_view.js";
import { followLinks, go, useAddress } from "./router.js";
import { RunView } from "./run_view.js";
import { RunsView } from "./runs_view.js";
import { useAnswer } from "./server.js";
import { applyTheme, ThemeSwitch } from "./theme.js";

function Page() {
  const address = useAddress();
  const { answer: about } = useAnswer("/api/about");
  useShortcuts({ g: () => go("/"), e: () => go("/experiments") });
  const [what = "", name] = address.pathname.split("/").slice(1).map(decodeURIComponent);
  const link = (/** @type {string} */ href, /** @type {string} */ text, /** @type {boolean} */ isHere) =>
    html`<a href=${href} aria-current=${isHere ? "page" : undefined}>${text}</a>`;
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ e) => skip(e)}>To the content</a>
    <header class="head">
      <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="20" height="20" />ChatGoT</a>
      <nav aria-label="Views">
            ${link("/", "Runs", what === "" || what === "runs")}
            ${link("/compare", "Compare", what === "compare")}
            ${link("/experiments", "Experiments", what === "experiments")}
          </nav>
      <span class="spring"></span>
      <span class="place" title="the folder of runs">${about?.runs_dir ?? ""}</span>
      <${ThemeSwitch} />
      <${KeyHelp} />
    </header>
    <main id="main" tabindex="-1">${view(what, name, about?.writable ?? false)}</main>
  `;
}

/** @param {string} what @param {string | undefined} name @param {boolean} writable */
function view(what, name, writable) {
  if (what === "runs" && name) return html`<${RunView} key=${name} id=${name} writable=${writable} />`;
  if (what === "compare") return html`<${CompareView} />`;
  if (what === "experiments") {
    return name ? html`<${ExperimentView} key=${name} id=${name} />` : html`<${ExperimentsView} />`;
  }
  return html`<${RunsView} />`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

applyTheme();
followLinks();
const place = document.getElementById("page");
if (place !== null) render(html`<${Page} />`, place);
