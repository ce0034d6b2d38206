/**
 * Colours of curves: those that Okabe and Ito chose (2008) so that people with any kind of colour vision tell them apart,
 * a little lighter on dark. After six the dashes change, which tells curves apart without colour, too.
 */
// @ts-check

const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#b85a92", "#b87f00", "#3a92c4"];
const DARK = ["#4fa8e0", "#f5813c", "#2dbd92", "#dd93bf", "#e6ad33", "#87cdf2"];
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4]];

/** Whether the page is dark now. */
export function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

/**
 * The look of the curve of this number.
 *
 * @param {number} index from 0
 */
export function lookOf(index) {
  const colours = isDark() ? DARK : LIGHT;
  return {
    colour: colours[index % colours.length] ?? "#777777",
    dash: DASHES[Math.floor(index / colours.length) % DASHES.length] ?? [],
  };
}

/** Colours of a chart's frame, as the style sheet has them. */
export function frameColours() {
  const style = getComputedStyle(document.documentElement);
  const dark = isDark();
  return {
    text: style.getPropertyValue(dark ? "--muted-dark" : "--muted-light").trim(),
    grid: style.getPropertyValue(dark ? "--line-dark" : "--line-light").trim(),
  };
}
