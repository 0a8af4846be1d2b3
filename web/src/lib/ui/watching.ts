export interface Watched {
  /** Time that was really watched: jumps do not count. */
  watchMs: number
  durationMs: number
  /** The end was reached. */
  completed: boolean
}

/** Below it nothing was watched, a clip was only passed by. */
export const LEAST_MS = 800
const LONGEST_STEP_MS = 1500
/** So near to the end, and then so near to the beginning: the clip has begun again. */
const NEAR_MS = 500

/**
 * Adds up what somebody watches of one clip, and tells it once a viewing: when the end is reached, or when it is left.
 * A clip that loops is told at its first end; each further round is more of the same viewing.
 */
export class Watching {
  #last: number | null = null
  #watched = 0
  #duration = 0
  #told = false
  readonly #tell: (watched: Watched) => void

  constructor(tell: (watched: Watched) => void) {
    this.#tell = tell
  }

  /** Where the player is, milliseconds, of which length. */
  at(placeMs: number, durationMs: number): void {
    if (Number.isFinite(durationMs)) this.#duration = durationMs
    const step = this.#last === null ? 0 : placeMs - this.#last
    if (step > 0 && step <= LONGEST_STEP_MS) this.#watched += step
    const again = step < 0 && placeMs < NEAR_MS && this.#duration - (this.#last ?? 0) < NEAR_MS
    this.#last = placeMs
    if (again) this.end()
  }

  /** It plays from here on: what is watched before the player first tells where it is counts, too. */
  begin(placeMs: number): void {
    this.#last ??= placeMs
  }

  /** The reader has moved to another place; the way there was not watched. */
  jump(placeMs: number): void {
    this.#last = placeMs
  }

  /** The end was reached. */
  end(): void {
    this.#report(true)
  }

  /** It is not watched any more; what comes is another viewing. */
  leave(): void {
    if (this.#watched >= LEAST_MS) this.#report(false)
    this.#last = null
    this.#watched = 0
    this.#told = false
  }

  #report(completed: boolean): void {
    if (this.#told) return
    this.#told = true
    this.#tell({ watchMs: Math.round(this.#watched), durationMs: Math.round(this.#duration), completed })
  }
}
