/** Draws tables and numbers for people. */
import { styleText } from 'node:util'

/** Rows of cells under a heading; the first column is text, the others are numbers. */
export interface TableContent {
  readonly heading: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** Whether to use colors: on a terminal, unless NO_COLOR says otherwise (no-color.org). */
export function hasColors(stream: { readonly isTTY?: boolean | undefined }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR']
}

/** A table with a frame, without a newline at its end. */
export function drawTable({ heading, rows }: TableContent, colors: boolean): string {
  const widths = heading.map((_, column) =>
    Math.max(...[heading, ...rows].map(cells => (cells[column] ?? '').length)),
  )
  const frame = (text: string): string => (colors ? styleText('gray', text) : text)
  const rule = (left: string, middle: string, right: string): string =>
    frame(left + widths.map(width => '─'.repeat(width + 2)).join(middle) + right)
  const line = (cells: readonly string[]): string => {
    const padded = widths.map((width, column) => {
      const cell = cells[column] ?? ''
      return ` ${column === 0 ? cell.padEnd(width) : cell.padStart(width)} `
    })
    return frame('│') + padded.join(frame('│')) + frame('│')
  }
  return [
    rule('┌', '┬', '┐'),
    line(heading),
    rule('├', '┼', '┤'),
    ...rows.map(line),
    rule('└', '┴', '┘'),
  ].join('\n')
}

/** `1234567` → `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Bytes in decimal units: `1234567` → `1.23 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`
}

/** `1` record, `2` records. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}
