/**
 * The colours of charts, for light and dark. Series take those of Okabe and Ito ("Color Universal Design", 2008), which people
 * with any kind of colour vision can tell apart, darkened or lightened where they would not stand out from the page (at
 * least 3:1, as WCAG 2.2 asks of graphics). A heatmap takes viridis (van der Walt and Smith, 2015), whose lightness
 * rises evenly.
 */

// @ts-types="@types/d3-scale"
import { scaleLinear } from "d3-scale";

/** A colour on a light and on a dark page. */
export interface Colour {
  light: string;
  dark: string;
}

/** The page below a chart. */
export const PAPER: Colour = { light: "#ffffff", dark: "#161b22" };

/** Text, axes and grid. */
export const INK: Colour = { light: "#24292f", dark: "#e6edf3" };

/** Colours of series, in their order; after the last the first comes again, with dashes. */
export const SERIES: readonly Colour[] = [
  { light: "#0072b2", dark: "#56b4e9" }, // blue
  { light: "#d55e00", dark: "#f0883e" }, // vermilion
  { light: "#009e73", dark: "#2fc99b" }, // bluish green
  { light: "#b4548c", dark: "#e3a0c6" }, // reddish purple
  { light: "#a97400", dark: "#f0c649" }, // orange, yellow
  { light: "#5f6b78", dark: "#a3b0bd" }, // grey
];

/** Dashes of the series that share a colour: none for the first six, and so on. */
const DASHES = [undefined, "6 3", "2 3"] as const;

/** How series number i is drawn: its class, its colour on light paper, and its dashes. */
export function seriesStyle(i: number): { class: string; color: string; dashes: string | undefined } {
  const number = i % SERIES.length;
  return {
    class: `chatgot-s${number}`,
    color: SERIES[number]!.light,
    dashes: DASHES[Math.floor(i / SERIES.length) % DASHES.length],
  };
}

/** What turns a chart dark with the page that it stands on. The attributes hold the light colours. */
export const DARK_RULES = "@media (prefers-color-scheme: dark) { " +
  `.chatgot-chart { color: ${INK.dark} } .chatgot-paper { fill: ${PAPER.dark} } ` +
  SERIES.map(({ dark }, i) => `.chatgot-s${i} { color: ${dark} }`).join(" ") + " }";

/** Steps into which a heatmap's colours are divided. */
export const LEVELS = 64;

/** Viridis at 0, 1/8, … 1. */
const VIRIDIS = [
  "#440154",
  "#472d7b",
  "#3b528b",
  "#2c728e",
  "#21918c",
  "#28ae80",
  "#5ec962",
  "#addc30",
  "#fde725",
];

const viridis = scaleLinear<string>().domain(VIRIDIS.map((_, i) => i / (VIRIDIS.length - 1))).range(VIRIDIS);

/** The colour of a level, 0 to LEVELS - 1, from dark to light. */
export function levelColour(level: number): string {
  return viridis(level / (LEVELS - 1));
}
