import { ApiError, asApiError, isAborted } from './errors'

export interface Slice<Row> {
  rows: readonly Row[]
  /** How many there are in all. */
  total: number
}

export type LoadSlice<Row> = (offset: number, limit: number, signal: AbortSignal) => Promise<Slice<Row>>

const SETTLED_MS = 60
const MOST_KEPT = 60

/** A long list of which only what is looked at is loaded, in pages by offset; a table scrolls over it without waiting. */
export class Windowed<Row> {
  total = $state(0)
  error = $state.raw<ApiError | null>(null)
  /** Something is known, be it that there is nothing. */
  begun = $state(false)
  /** Other rows were asked for; those that are shown are the old ones. */
  refreshing = $state(false)
  #version = $state(0)
  #pages = new Map<number, readonly Row[]>()
  #asked = new Map<number, AbortController>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #seen: [number, number] = [0, 0]
  #load: LoadSlice<Row>
  readonly #size: number

  constructor(load: LoadSlice<Row>, size = 100) {
    this.#load = load
    this.#size = size
  }

  /** A row by its number; undefined while it is not loaded. */
  row(index: number): Row | undefined {
    void this.#version
    return this.#pages.get(Math.floor(index / this.#size))?.[index % this.#size]
  }

  /** Rows that are loaded, with their numbers. */
  *loaded(): Generator<[number, Row]> {
    void this.#version
    for (const [page, rows] of this.#pages)
      for (const [place, row] of rows.entries()) yield [page * this.#size + place, row]
  }

  /** These rows are looked at: what is missing is loaded once the scrolling has settled, what is no longer needed is not waited for. */
  want(start: number, end: number): void {
    this.#seen = [start, end]
    clearTimeout(this.#timer)
    if (this.begun) this.#timer = setTimeout(() => this.#fill(), SETTLED_MS)
  }

  /** Ask another question, or the same one anew. The rows that are shown stay until the first answer. */
  async ask(load: LoadSlice<Row> = this.#load, from = 0): Promise<void> {
    this.stop()
    this.#load = load
    this.refreshing = true
    const page = Math.floor(from / this.#size)
    const found = await this.#fetch(page)
    if (!found) return
    this.#pages = new Map([[page, found.rows]])
    this.#take(found)
    this.#fill()
  }

  /** The same question, at the place that is looked at. */
  async again(): Promise<void> {
    await this.ask(this.#load, Math.max(0, Math.min(this.#seen[0], this.total - 1)))
  }

  /** Put changed rows in the place of loaded ones. */
  change(by: (row: Row) => Row): void {
    for (const [page, rows] of this.#pages) this.#pages.set(page, rows.map(by))
    this.#version += 1
  }

  /** Nobody looks any more. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#asked.forEach((control) => control.abort())
    this.#asked.clear()
  }

  #fill(): void {
    const [start, end] = this.#seen
    const last = Math.min(end, this.total)
    const wanted = new Set<number>()
    for (let at = Math.floor(start / this.#size); at * this.#size < last; at += 1) wanted.add(at)
    for (const [page, control] of this.#asked) {
      if (wanted.has(page)) continue
      control.abort()
      this.#asked.delete(page)
    }
    for (const page of wanted) if (!this.#pages.has(page) && !this.#asked.has(page)) void this.#add(page)
  }

  async #add(page: number): Promise<void> {
    const found = await this.#fetch(page)
    if (!found) return
    this.#pages.set(page, found.rows)
    const oldest = this.#pages.keys().next()
    if (this.#pages.size > MOST_KEPT && !oldest.done) this.#pages.delete(oldest.value)
    this.#take(found)
  }

  async #fetch(page: number): Promise<Slice<Row> | null> {
    const control = new AbortController()
    this.#asked.set(page, control)
    try {
      const found = await this.#load(page * this.#size, this.#size, control.signal)
      return control.signal.aborted ? null : found
    } catch (thrown) {
      if (!control.signal.aborted && !isAborted(thrown)) {
        this.error = asApiError(thrown)
        this.refreshing = false
      }
      return null
    } finally {
      if (this.#asked.get(page) === control) this.#asked.delete(page)
    }
  }

  #take(found: Slice<Row>): void {
    this.total = found.total
    this.error = null
    this.begun = true
    this.refreshing = false
    this.#version += 1
  }
}
