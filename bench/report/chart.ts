/**
 * Charts of the page, as the plain configuration that Chart.js takes: bars where sides are compared,
 * lines where something grows.
 */
import type { SideReport, WorkloadReport } from './report.ts'

/** Varve is the color of the page, limits are grey, peers share what is left. */
const varveColor = '#0f7b6c'
const limitColors: readonly string[] = ['#8a8f98', '#b9bec6', '#d6d9de']
const peerColors: readonly string[] = [
  '#c8553d',
  '#e09f3e',
  '#5c6bc0',
  '#a05195',
  '#588157',
  '#4d908e',
  // Of the three that come once more, with a group commit of ours.
  '#8c2f1b',
  '#b0892f',
  '#9fa8da',
]

/** Height that a bar takes, and what is around the bars, in CSS pixels. */
const barHeight = 24
const frameHeight = 90
const lineChartHeight = 320

/** A chart: what Chart.js is given, and how high the canvas is. */
export interface ChartSpec {
  readonly config: unknown
  readonly height: number
}

interface Dataset {
  readonly label: string
  readonly data: readonly (number | null)[]
  readonly backgroundColor: string | readonly string[]
  readonly borderColor?: string
}

/** The chart of a workload, or null when nothing came of it. */
export function chartOf(workload: WorkloadReport): ChartSpec | null {
  const sides = workload.variants.flatMap(variant => variant.sides)
  if (sides.length === 0) return null
  const series = sides.find(side => side.series !== null)?.series
  if (series !== undefined && series !== null) {
    const names = Object.keys(series.lines)
    const datasets = names.map((name, index) => ({
      label: name,
      data: series.lines[name] ?? [],
      ...lineStyle(peerColors[index % peerColors.length] as string),
    }))
    return lineChart({
      labels: series.x.map(String),
      datasets,
      x: series.xLabel,
      y: series.yLabel,
    })
  }
  const colors = colorsOf(sides)
  const labels = workload.variants.map(({ name }) => name)
  const datasets = [...colors].map(([name, color]) => ({
    label: name,
    data: workload.variants.map(
      variant => variant.sides.find(side => side.name === name)?.charted ?? null,
    ),
    ...(workload.chart.kind === 'line' ? lineStyle(color) : { backgroundColor: color }),
  }))
  return workload.chart.kind === 'line'
    ? lineChart({ labels, datasets, x: '', y: workload.chart.label })
    : barChart(workload, datasets)
}

function lineStyle(color: string): { backgroundColor: string; borderColor: string } {
  return { backgroundColor: color, borderColor: color }
}

function colorsOf(sides: readonly SideReport[]): ReadonlyMap<string, string> {
  const colors = new Map<string, string>()
  const used = { limit: 0, peer: 0 }
  for (const { name, kind } of sides) {
    if (colors.has(name)) continue
    if (kind === 'varve') colors.set(name, varveColor)
    else {
      const palette = kind === 'limit' ? limitColors : peerColors
      colors.set(name, palette[used[kind]++ % palette.length] as string)
    }
  }
  return colors
}

function axis(label: string): unknown {
  return { beginAtZero: true, title: { display: label !== '', text: label } }
}

function lineChart(of: {
  readonly labels: readonly string[]
  readonly datasets: readonly Dataset[]
  readonly x: string
  readonly y: string
}): ChartSpec {
  const { labels, datasets } = of
  const options = {
    maintainAspectRatio: false,
    animation: false,
    interaction: { mode: 'index', intersect: false },
    scales: { x: { title: { display: of.x !== '', text: of.x } }, y: axis(of.y) },
  }
  return { config: { type: 'line', data: { labels, datasets }, options }, height: lineChartHeight }
}

/** One variant has a bar of its own name for each side; several have a group of bars each. */
function barChart(workload: WorkloadReport, bySide: readonly Dataset[]): ChartSpec {
  const variants = workload.variants.filter(variant => variant.sides.length > 0)
  const isGrouped = variants.length > 1
  const data = isGrouped
    ? { labels: workload.variants.map(({ name }) => name), datasets: bySide }
    : {
        labels: bySide.map(({ label }) => label),
        datasets: [
          {
            label: workload.chart.label,
            data: bySide.map(({ data: [value] }) => value ?? null),
            backgroundColor: bySide.map(({ backgroundColor }) => backgroundColor),
          },
        ],
      }
  const bars = isGrouped ? variants.length * bySide.length : bySide.length
  const options = {
    indexAxis: 'y',
    maintainAspectRatio: false,
    animation: false,
    scales: { x: axis(workload.chart.label) },
    plugins: { legend: { display: isGrouped && bySide.length > 1 } },
  }
  return { config: { type: 'bar', data, options }, height: frameHeight + bars * barHeight }
}
