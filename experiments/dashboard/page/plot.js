/**
 * Options of a uPlot chart in the page's look. Pure but for the colours, which it takes from the style sheet; `chart.js`
 * puts the chart into the page.
 */
// @ts-check

import uPlot from "uplot";
import * as format from "./format.js";
import { frameColours } from "./palette.js";

/**
 * A curve to draw.
 *
 * @typedef {object} Line
 * @property {string} label
 * @property {number[]} x rising
 * @property {(number | null)[]} y null leaves a gap
 * @property {string} colour
 * @property {number[]} [dash]
 * @property {boolean} [isFaint] drawn behind, such as the curve before smoothing
 * @property {{low: (number | null)[], high: (number | null)[]}} [band] a spread about y
 * @property {{x: number, y: number, step: number} | null} [best] the point to mark
 */

/**
 * How to draw.
 *
 * @typedef {object} PlotOptions
 * @property {string} x what the x axis counts: step, tokens, time, flops
 * @property {boolean} [logX]
 * @property {boolean} [logY]
 * @property {number[]} [seams] x at which a run was resumed
 * @property {(value: number) => string} [formatY]
 * @property {string} [sync] charts of the same key share their cursor
 */

const FONT = '11px ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** How x values are written. @type {Record<string, (value: number) => string>} */
const WRITE_X = { step: format.count, tokens: format.count, time: format.duration, flops: format.count };

/**
 * A value of x as people read it.
 *
 * @param {string} axis
 * @param {number} x
 */
export function writeX(axis, x) {
  return axis === "step" ? format.number(Math.round(x)) : (WRITE_X[axis] ?? format.number)(x);
}

/**
 * The tables of a chart: curves have x values of their own, so they are joined; what one lacks at the x of another is
 * undefined, over which its line goes on, while its own null stays a gap.
 *
 * @param {Line[]} lines
 * @param {boolean} logX whether x <= 0 must go
 * @param {boolean} logY whether y <= 0 must go
 * @returns {uPlot.AlignedData}
 */
export function joined(lines, logX, logY) {
  if (lines.length === 0) return [[], []];
  const tables = lines.map(({ x, y, band }) => {
    const kept = x.map((_, i) => i).filter((i) => !logX || Number(x[i]) > 0);
    const column = (/** @type {(number | null)[]} */ values) =>
      kept.map((i) => logY && Number(values[i]) <= 0 ? null : values[i] ?? null);
    const columns = band === undefined ? [column(y)] : [column(y), column(band.low), column(band.high)];
    return /** @type {uPlot.AlignedData} */ ([kept.map((i) => Number(x[i])), ...columns]);
  });
  return uPlot.join(tables);
}

/**
 * @param {Line[]} lines
 * @param {PlotOptions} options
 * @param {{width: number, height: number}} size in CSS pixels
 * @param {(values: {x: number, y: (number | null)[]} | null) => void} onCursor what stands under the cursor
 * @returns {uPlot.Options}
 */
export function plotOptions(
  lines,
  { x, logX = false, logY = false, seams = [], formatY = format.number, sync },
  size,
  onCursor,
) {
  const { text, grid } = frameColours();
  const axis = { font: FONT, stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    ...size,
    padding: [8, 14, 0, 0],
    legend: { show: false },
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: true },
      ...(sync === undefined ? {} : { sync: { key: sync, setSeries: false } }),
    },
    scales: {
      x: { time: false, ...(logX ? { distr: /** @type {const} */ (3) } : {}) },
      y: logY ? { distr: 3 } : { range: paddedRange },
    },
    series: [{}, ...lines.flatMap(seriesOf)],
    bands: bandsOf(lines),
    axes: [
      {
        ...axis,
        size: 26,
        gap: 4,
        space: 60,
        values: (_, ticks) => ticks.map((v) => v === null ? "" : writeX(x, v)),
      },
      {
        ...axis,
        size: axisWidth,
        gap: 6,
        space: 32,
        values: (_, ticks) => ticks.map((v) => v === null ? "" : formatY(v)),
      },
    ],
    hooks: {
      setCursor: [(plot) => onCursor(underCursor(plot, lines))],
      draw: [(plot) => drawSeams(plot, seams, text), (plot) => drawBest(plot, lines)],
    },
  };
}

/** @param {Line} line @returns {uPlot.Series[]} */
function seriesOf({ label, colour, dash = [], isFaint = false, band }) {
  const own = {
    label,
    stroke: colour,
    width: isFaint ? 1 : 1.6,
    alpha: isFaint ? 0.28 : 1,
    dash,
    spanGaps: false,
    points: { show: showsPoints, size: 4, fill: colour },
  };
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  return band === undefined ? [own] : [own, edge, edge];
}

/** Points alone where a curve has few, so that one of a single point is seen. @param {uPlot} plot @param {number} index */
function showsPoints(plot, index) {
  const values = plot.data[index] ?? [];
  let n = 0;
  for (const value of values) if (value !== null && value !== undefined && ++n > 24) return false;
  return true;
}

/** @param {Line[]} lines @returns {uPlot.Band[]} */
function bandsOf(lines) {
  const bands = [];
  let index = 1;
  for (const { band, colour } of lines) {
    if (band !== undefined) {
      bands.push({ series: /** @type {[number, number]} */ ([index + 2, index + 1]), fill: `${colour}2e` });
    }
    index += band === undefined ? 1 : 3;
  }
  return bands;
}

/** A range that does not begin at 0, since curves differ in their details. @param {uPlot} _ @param {number} low @param {number} high @returns {[number, number]} */
function paddedRange(_, low, high) {
  if (low === null || high === null || !Number.isFinite(low)) return [0, 1];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

/** As wide as the longest number. @param {uPlot} plot @param {string[] | null} values */
function axisWidth(plot, values) {
  if (values === null) return 48;
  plot.ctx.save();
  plot.ctx.font = FONT;
  const widest = Math.max(...values.map((text) => plot.ctx.measureText(text ?? "").width));
  plot.ctx.restore();
  return Math.ceil(Math.max(30, widest + 14));
}

/**
 * The values under the cursor, one for each line: its own point there, or the one before, since joined curves seldom share
 * an x.
 *
 * @param {uPlot} plot
 * @param {Line[]} lines
 */
function underCursor(plot, lines) {
  const at = plot.cursor.idx;
  if (at === null || at === undefined) return null;
  const x = Number(plot.data[0][at]);
  let index = 1;
  const y = lines.map(({ band }) => {
    const values = plot.data[index] ?? [];
    index += band === undefined ? 1 : 3;
    let i = at;
    while (i > 0 && values[i] === undefined) i--;
    return values[i] ?? null;
  });
  return { x, y };
}

/** A dashed line where a run was resumed. @param {uPlot} plot @param {number[]} seams @param {string} colour */
function drawSeams(plot, seams, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const seam of seams) {
    const left = Math.round(plot.valToPos(seam, "x", true));
    if (!(left >= bbox.left && left <= bbox.left + bbox.width)) continue;
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** A ring about the best point of each curve. @param {uPlot} plot @param {Line[]} lines */
function drawBest(plot, lines) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = 1.6 * devicePixelRatio;
  for (const { best, colour } of lines) {
    if (!best) continue;
    const [left, top] = [plot.valToPos(best.x, "x", true), plot.valToPos(best.y, "y", true)];
    const isInside = left >= bbox.left && left <= bbox.left + bbox.width && top >= bbox.top - 1 &&
      top <= bbox.top + bbox.height + 1;
    if (!isInside) continue;
    ctx.strokeStyle = colour;
    ctx.beginPath();
    ctx.arc(left, top, 5 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
  }
  ctx.restore();
}
