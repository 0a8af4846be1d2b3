import { ApiError, asApiError, isAborted } from './errors'

export interface Batch<Row> {
  rows: readonly Row[]
  /** Give it to ask for what follows; null at the end. */
  next: string | null
}

/** A list that the service gives page by page, each naming where the next begins. Ask for `more()` as its end comes into view. */
export class Cursored<Row> {
  rows = $state.raw<readonly Row[]>([])
  error = $state.raw<ApiError | null>(null)
  /** A page is on its way. */
  pending = $state(false)
  /** Something is known, be it that there is nothing. */
  begun = $state(false)
  #next: string | null = null
  #ended = $state(false)
  #control = new AbortController()
  readonly #load: (cursor: string | null, signal: AbortSignal) => Promise<Batch<Row>>

  constructor(load: (cursor: string | null, signal: AbortSignal) => Promise<Batch<Row>>) {
    this.#load = load
  }

  /** Everything there is has been loaded. */
  get ended(): boolean {
    return this.#ended
  }

  /** The next page; nothing while one is on its way, and at the end. */
  async more(): Promise<void> {
    if (this.pending || this.#ended) return
    const { signal } = this.#control
    this.pending = true
    try {
      const batch = await this.#load(this.#next, signal)
      if (signal.aborted) return
      this.rows = [...this.rows, ...batch.rows]
      this.#next = batch.next
      this.#ended = batch.next === null
      this.begun = true
      this.error = null
    } catch (thrown) {
      if (!signal.aborted && !isAborted(thrown)) this.error = asApiError(thrown)
    } finally {
      if (!signal.aborted) this.pending = false
    }
  }

  /** From the beginning again; what is shown stays until the first page is there. */
  async again(): Promise<void> {
    this.stop()
    this.#control = new AbortController()
    this.pending = false
    this.#next = null
    this.#ended = false
    const before = this.rows
    this.rows = []
    await this.more()
    if (this.error) this.rows = before
  }

  /** Nobody looks any more. */
  stop(): void {
    this.#control.abort()
  }
}
