// Charts as SVG texts, made without DOM or canvas.
export { confidenceChart } from './confidenceChart.js'
export { qualityChart } from './qualityChart.js'
export type { QualityChartOptions } from './qualityChart.js'
export { fixedThresholdRows, thresholdChart } from './thresholdChart.js'
export type { ChartOptions } from './vegaSvg.js'
