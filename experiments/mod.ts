/** The door of `experiments/`: the run tracker, reading what it wrote, charts and tables. */

export { attentionChart } from "./charts/attention_chart.ts";
export type { AxisOptions } from "./charts/axes.ts";
export { type Bar, barChart, type BarChartOptions } from "./charts/bar_chart.ts";
export { Chart, type ChartOptions, type MimeBundle, sideBySide } from "./charts/chart.ts";
export { heatmap, type HeatmapOptions, tokenLabels } from "./charts/heatmap.ts";
export { lineChart, type LineChartOptions, type Point, type Series } from "./charts/line_chart.ts";
export { seriesOf, spreadOf } from "./charts/series.ts";
export { Table, table } from "./charts/table.ts";
export { dashboardCommand } from "./commands/dashboard.ts";
export { type Dashboard, type DashboardOptions, serveDashboard } from "./dashboard/server.ts";
export { runsCommand } from "./commands/runs.ts";
export { type Getter, Names, type Value } from "./query/names.ts";
export { sortRuns } from "./query/sort.ts";
export { type Filter, parseWhere } from "./query/where.ts";
export { BEGINNING, type Place, readAppended } from "./reading/appended_lines.ts";
export { chooseRun } from "./reading/choose_run.ts";
export { flatten } from "./reading/flatten.ts";
export { type MetricSeries, MetricsFollower, readMetrics } from "./reading/metric_series.ts";
export type { RunEntry, RunState } from "./reading/run_entry.ts";
export { listRuns, type RefreshOptions, RunIndex } from "./reading/run_index.ts";
export { readLines, type RunStream } from "./reading/run_lines.ts";
export {
  ActiveRun,
  type ArtifactContent,
  type RunEnd,
  startRun,
  type StartRunOptions,
} from "./tracker/active_run.ts";
export { experimentCommand } from "./runner/experiment_command.ts";
export type { MetricsSummary, MetricSummary } from "./tracker/metric_summary.ts";
export { jsonSchemas } from "./tracker/line_schemas.ts";
export { latestRun } from "./tracker/run_folder.ts";
export { readRun, type RunRecord, updateRunSync } from "./tracker/run_record.ts";
export { createRun, reserveRun, resumeRun, type TrackerOptions } from "./tracker/tracker.ts";
