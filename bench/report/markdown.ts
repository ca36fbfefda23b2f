/** The report as Markdown, for the README and the terminal. */
import type { Report, WorkloadReport } from './report.ts'
import { columns, describeFigures, describeTarget, headOf, rowOf, shapeOf } from './table.ts'

/** The whole report. */
export function toMarkdown(report: Report): string {
  const lines = ['# Benchmarks', '']
  if (report.isSmoke) lines.push('A smoke run: everything tiny, the figures mean nothing.', '')
  for (const [name, value] of headOf(report)) lines.push(`- ${name}: ${value}`)
  lines.push(
    '',
    'Medians over the rounds; ratios are medians of the ratios of each round (least … most of them). MB/s are of the same bytes on every side; of sides that write gigabytes, the median stint of 256 MiB counts.',
    '',
  )
  for (const workload of report.workloads) lines.push(...workloadLines(workload))
  for (const { name, text } of report.micro) lines.push(`## ${name}`, '', '```', text, '```', '')
  if (report.failures.length > 0) lines.push('## Failures', '')
  for (const failure of report.failures) lines.push(`- ${failure}`)
  return `${lines.join('\n').trimEnd()}\n`
}

function workloadLines(workload: WorkloadReport): readonly string[] {
  const rows = workload.variants.flatMap(variant => variant.sides.map(side => rowOf(variant, side)))
  const notes = workload.variants.flatMap(variant => [
    ...variant.targets.map(target => `${variant.name}: ${describeTarget(target)}`),
    ...variant.sides.flatMap(side => {
      const figures = describeFigures(side)
      return figures === '' ? [] : [`${variant.name}, ${side.name}: ${figures}`]
    }),
    ...Object.entries(variant.skipped).map(
      ([side, reason]) => `${variant.name}: ${side} did not run (${reason.split('\n')[0]})`,
    ),
  ])
  const shapes = workload.variants.map(variant => [variant.name, shapeOf(variant)] as const)
  const shapeText = [...new Set(shapes.map(([, shape]) => shape))].filter(shape => shape !== '')
  return [
    `## ${workload.name}`,
    '',
    `${workload.question} ${workload.expectation}`,
    ...(shapeText.length === 0 ? [] : [`Records a call: ${shapeText.join(', ')}.`]),
    '',
    ...(rows.length === 0
      ? []
      : [line(columns), line(columns.map(() => '---')), ...rows.map(line)]),
    '',
    ...notes.map(note => `- ${note}`),
    '',
  ]
}

function line(cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
