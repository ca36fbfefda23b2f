/** The report as one page that needs nothing else: styles, charts and their library are in it. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { chartOf } from './chart.ts'
import type { Report, TargetReport, WorkloadReport } from './report.ts'
import { columns, describeFigures, describeTarget, headOf, rowOf, shapeOf } from './table.ts'

const style = `
:root { color-scheme: light dark; --ink: #1f2328; --soft: #667; --line: #d9dce1; --page: #fff; --card: #f6f7f9; --own: #0f7b6c; --miss: #b3401f }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9aa3ad; --line: #343a42; --page: #14171b; --card: #1d2126; --own: #4fc3b0; --miss: #ef8a68 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.5rem 5rem; max-width: 84rem; color: var(--ink); background: var(--page); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.7rem; margin: 0 0 1rem } h2 { font-size: 1.2rem; margin: 3rem 0 .3rem } p { margin: .3rem 0; max-width: 60rem }
nav { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .3rem .9rem } a { color: var(--own) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; padding: 1rem; margin: 0; background: var(--card); border-radius: 8px }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.soft { color: var(--soft) } .chart { position: relative; margin: 1rem 0 }
.table { overflow-x: auto } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line) } th { color: var(--soft); font-weight: 500 }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left } tr.varve td { font-weight: 600 } tr.varve td:nth-child(2) { color: var(--own) }
ul { padding-left: 1.2rem; margin: .7rem 0 } .reached { color: var(--own) } .missed { color: var(--miss) } .warning { color: var(--miss); font-weight: 600 }
pre { overflow-x: auto; padding: 1rem; background: var(--card); border-radius: 8px; font-size: .8rem }`

/** Draws what the data beside each canvas describes, in the colors of the page. */
const script = `
const ink = getComputedStyle(document.body)
Chart.defaults.color = ink.getPropertyValue('--soft')
Chart.defaults.borderColor = ink.getPropertyValue('--line')
Chart.defaults.font.family = 'system-ui, sans-serif'
const short = value => Math.abs(value) >= 1e6 ? value / 1e6 + ' M' : Math.abs(value) >= 1e4 ? value / 1e3 + ' k' : value
for (const data of document.querySelectorAll('script[type="application/json"]')) {
  const config = JSON.parse(data.textContent)
  const axis = config.type === 'bar' ? config.options.scales.x : config.options.scales.y
  axis.ticks = { callback: short }
  new Chart(data.previousElementSibling, config)
}`

/** The page. */
export function toHtml(report: Report): string {
  const { machine } = report
  const head = headOf(report).map(
    ([name, value]) => `<dt>${text(name)}</dt><dd>${text(value)}</dd>`,
  )
  const links = [...report.workloads, ...report.micro].map(
    ({ name }) => `<a href="#${text(name)}">${text(name)}</a>`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>varve benchmarks, ${text(machine.date)}</title>
<style>${style}
</style>
<h1>varve: how close to the machine</h1>
${report.isSmoke ? '<p class="warning">A smoke run: everything tiny, the figures mean nothing.</p>' : ''}
<dl>${head.join('\n')}</dl>
<nav>${links.join('\n')}</nav>
<p class="soft">Medians over the rounds; sides take turns, and ratios are medians of the ratios of each
round; the least and the most of the rounds stand behind them. Sides that write gigabytes do it in stints
of 256 MiB, of which the median counts. Limits are the same bytes through the fewest system calls that could do the job. Of peers that are
servers, processor time and memory are those of the client alone. MB/s are of the same bytes on every
side of a workload: what the records take in varve's log, or their values where it says so.</p>
${failuresOf(report)}
${report.workloads.map(section).join('\n')}
${report.micro.map(({ name, text: output }) => `<h2 id="${text(name)}">${text(name)}</h2>\n<pre>${text(output)}</pre>`).join('\n')}
<script>${chartLibrary()}</script>
<script>${script}
</script>
</html>
`
}

function section(workload: WorkloadReport): string {
  const rows = workload.variants.flatMap(variant =>
    variant.sides.map(side => {
      const cells = rowOf(variant, side).map(cell => `<td>${text(cell)}</td>`)
      return `<tr class="${side.kind}">${cells.join('')}</tr>`
    }),
  )
  const notes = workload.variants.flatMap(variant => [
    ...variant.targets.map(target => targetItem(variant.name, target)),
    ...variant.sides.flatMap(side => {
      const figures = describeFigures(side)
      return figures === '' ? [] : [`<li>${text(`${variant.name}, ${side.name}: ${figures}`)}</li>`]
    }),
    ...Object.entries(variant.skipped).map(
      ([side, reason]) =>
        `<li class="soft">${text(`${variant.name}: ${side} did not run (${reason.split('\n')[0]})`)}</li>`,
    ),
  ])
  const shapes = [...new Set(workload.variants.map(shapeOf))].filter(shape => shape !== '')
  const shape = shapes.length === 0 ? '' : ` Records a call: ${shapes.join(', ')}.`
  return `<section>
<h2 id="${text(workload.name)}">${text(workload.question)}</h2>
<p class="soft">${text(workload.name)}. ${text(workload.expectation)}${text(shape)}</p>
${chartElement(workload)}
<div class="table"><table><tr>${columns.map(name => `<th>${text(name)}</th>`).join('')}</tr>
${rows.join('\n')}</table></div>
<ul>${notes.join('\n')}</ul>
</section>`
}

function chartElement(workload: WorkloadReport): string {
  const chart = chartOf(workload)
  if (chart === null) return ''
  const data = JSON.stringify(chart.config).replaceAll('<', '\\u003c')
  return `<div class="chart" style="height: ${chart.height}px"><canvas role="img" aria-label="${text(workload.question)} ${text(workload.chart.label)}; the table below has the figures"></canvas><script type="application/json">${data}</script></div>`
}

function targetItem(variant: string, target: TargetReport): string {
  const state = target.isReached === null ? 'soft' : target.isReached ? 'reached' : 'missed'
  return `<li class="${state}">${text(`${variant}: ${describeTarget(target)}`)}</li>`
}

function failuresOf(report: Report): string {
  if (report.failures.length === 0) return ''
  const items = report.failures.map(failure => `<li><pre>${text(failure)}</pre></li>`)
  return `<h2 class="warning">Failures</h2>\n<ul>${items.join('')}</ul>`
}

/** Chart.js as it is published for script tags; its exports do not name that file. */
function chartLibrary(): string {
  const main = createRequire(import.meta.url).resolve('chart.js')
  const source = readFileSync(join(dirname(main), 'chart.umd.min.js'), 'utf8')
  return source.replaceAll('</script', '<\\/script').replace(/\/\/# sourceMappingURL=.*\s*$/, '')
}

function text(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
