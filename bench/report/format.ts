/** Numbers as people read them: three figures that count, and a unit. */

/** A count with three significant figures: 9.41 M, 312 k, 87. */
export function formatCount(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e9) return `${significant(value / 1e9)} G`
  if (size >= 1e6) return `${significant(value / 1e6)} M`
  if (size >= 1e4) return `${significant(value / 1e3)} k`
  return significant(value)
}

/** Bytes in decimal units: 1.2 GB. */
export function formatBytes(value: number): string {
  if (value >= 1e9) return `${significant(value / 1e9)} GB`
  if (value >= 1e6) return `${significant(value / 1e6)} MB`
  if (value >= 1e3) return `${significant(value / 1e3)} KB`
  return `${significant(value)} B`
}

/** Microseconds, or milliseconds from a thousand up. */
export function formatMicros(value: number): string {
  return value >= 1000 ? `${significant(value / 1000)} ms` : `${significant(value)} µs`
}

/** Three significant figures without an exponent. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value)
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toLocaleString('en', {
    maximumFractionDigits: Math.min(digits, 6),
    minimumFractionDigits: 0,
  })
}
