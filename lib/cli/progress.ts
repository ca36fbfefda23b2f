/** Tells a person how far something is: a bar on a terminal, else a line now and then. */

/** Where progress is shown; a stream like `process.stderr`. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

/** How far it is; `part` goes from 0 to 1, null when the end is not known. */
export interface ProgressState {
  readonly part: number | null
  readonly text: string
}

const barColumns = 24
const terminalIntervalMs = 100
const lineIntervalMs = 2000

/** One task's progress. `update` is cheap between two drawings; what it would show is asked for then only. */
export class Progress {
  readonly #stream: ProgressStream
  readonly #label: string
  readonly #isTerminal: boolean
  readonly #nowMs: () => number
  #nextMs: number
  #isDrawn = false

  constructor(
    stream: ProgressStream,
    label: string,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#stream = stream
    this.#label = label
    this.#nowMs = nowMs
    this.#isTerminal = stream.isTTY === true
    this.#nextMs = nowMs() + (this.#isTerminal ? 0 : lineIntervalMs)
  }

  update(state: () => ProgressState): void {
    const nowMs = this.#nowMs()
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + (this.#isTerminal ? terminalIntervalMs : lineIntervalMs)
    const { part, text } = state()
    if (this.#isTerminal) this.#draw(part, text)
    else this.#stream.write(`${this.#label} ${percent(part)}${text}\n`)
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#isDrawn) this.#stream.write('\r\x1b[K')
    this.#isDrawn = false
  }

  #draw(part: number | null, text: string): void {
    this.#isDrawn = true
    const filled = Math.round(Math.min(part ?? 0, 1) * barColumns)
    const bar = part === null ? '' : `${'█'.repeat(filled)}${'░'.repeat(barColumns - filled)} `
    const line = `${this.#label} ${bar}${percent(part)}${text}`
    // A line that wraps would not be taken away by going back to its beginning.
    this.#stream.write(`\r\x1b[K${line.slice(0, (this.#stream.columns ?? 80) - 1)}`)
  }
}

function percent(part: number | null): string {
  return part === null ? '' : `${Math.floor(Math.min(part, 1) * 100)}% `
}
