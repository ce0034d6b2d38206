/**
 * The page's files and the libraries that it imports, as text: the one place that names them all. Libraries come from
 * their packages as they are.
 */

import htm from "htm" with { type: "text" };
import htmPreact from "htm/preact" with { type: "text" };
import preact from "preact" with { type: "text" };
import preactHooks from "preact/hooks" with { type: "text" };
import uplot from "uplot/dist/uPlot.esm.js" with { type: "text" };
import uplotCss from "uplot/dist/uPlot.min.css" with { type: "text" };
import chart from "./page/chart.js" with { type: "text" };
import columns from "./page/columns.js" with { type: "text" };
import compareView from "./page/compare_view.js" with { type: "text" };
import configDifferences from "./page/config_differences.js" with { type: "text" };
import curveControls from "./page/curve_controls.js" with { type: "text" };
import differences from "./page/differences.js" with { type: "text" };
import experimentView from "./page/experiment_view.js" with { type: "text" };
import experimentsView from "./page/experiments_view.js" with { type: "text" };
import format from "./page/format.js" with { type: "text" };
import keys from "./page/keys.js" with { type: "text" };
import main from "./page/main.js" with { type: "text" };
import metricNames from "./page/metric_names.js" with { type: "text" };
import palette from "./page/palette.js" with { type: "text" };
import parallel from "./page/parallel.js" with { type: "text" };
import parts from "./page/parts.js" with { type: "text" };
import plot from "./page/plot.js" with { type: "text" };
import router from "./page/router.js" with { type: "text" };
import runCurves from "./page/run_curves.js" with { type: "text" };
import runEditor from "./page/run_editor.js" with { type: "text" };
import runLists from "./page/run_lists.js" with { type: "text" };
import runSamples from "./page/run_samples.js" with { type: "text" };
import runView from "./page/run_view.js" with { type: "text" };
import runsView from "./page/runs_view.js" with { type: "text" };
import server from "./page/server.js" with { type: "text" };
import statistics from "./page/statistics.js" with { type: "text" };
import sweep from "./page/sweep.js" with { type: "text" };
import theme from "./page/theme.js" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import index from "./page/index.html" with { type: "text" };
import baseCss from "./page/base.css" with { type: "text" };
import headCss from "./page/head.css" with { type: "text" };
import controlsCss from "./page/controls.css" with { type: "text" };
import tablesCss from "./page/tables.css" with { type: "text" };
import runCss from "./page/run.css" with { type: "text" };
import sweepCss from "./page/sweep.css" with { type: "text" };
import screensCss from "./page/screens.css" with { type: "text" };

/** The document of every view; `assets.ts` adds the import map. */
export const INDEX: string = index;

/** Libraries by the name that the page imports them by. */
export const LIBRARIES: Readonly<Record<string, string>> = {
  "htm": htm,
  "htm/preact": htmPreact,
  "preact": preact,
  "preact/hooks": preactHooks,
  "uplot": uplot,
};

/** The page's own files, and the style of its library, by name. */
export const PAGE_FILES: Readonly<Record<string, string>> = {
  "chart.js": chart,
  "columns.js": columns,
  "compare_view.js": compareView,
  "config_differences.js": configDifferences,
  "curve_controls.js": curveControls,
  "differences.js": differences,
  "experiment_view.js": experimentView,
  "experiments_view.js": experimentsView,
  "format.js": format,
  "keys.js": keys,
  "main.js": main,
  "metric_names.js": metricNames,
  "palette.js": palette,
  "parallel.js": parallel,
  "parts.js": parts,
  "plot.js": plot,
  "router.js": router,
  "run_curves.js": runCurves,
  "run_editor.js": runEditor,
  "run_lists.js": runLists,
  "run_samples.js": runSamples,
  "run_view.js": runView,
  "runs_view.js": runsView,
  "server.js": server,
  "statistics.js": statistics,
  "sweep.js": sweep,
  "theme.js": theme,
  "icon.svg": icon,
  "base.css": baseCss,
  "head.css": headCss,
  "controls.css": controlsCss,
  "tables.css": tablesCss,
  "run.css": runCss,
  "sweep.css": sweepCss,
  "screens.css": screensCss,
  "uplot.css": uplotCss,
};
