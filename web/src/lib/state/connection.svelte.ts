const FIRST_MS = 1000
const LONGEST_MS = 15_000

/** Whether the service answers. Requests tell it; while none is answered it asks by itself, more and more rarely. */
class Connection {
  online = $state(true)
  #timer: ReturnType<typeof setTimeout> | undefined
  #wait = FIRST_MS
  #back = new Set<() => void>()

  /** A request was answered, whatever the answer. */
  answered(): void {
    if (this.online) return
    this.online = true
    clearTimeout(this.#timer)
    this.#wait = FIRST_MS
    this.#back.forEach((tell) => tell())
  }

  /** A request was not answered. */
  missed(): void {
    if (!this.online) return
    this.online = false
    this.#later()
  }

  /** Told when the service is back. */
  onBack(listener: () => void): () => void {
    this.#back.add(listener)
    return () => this.#back.delete(listener)
  }

  /** Ask now. */
  async probe(): Promise<void> {
    clearTimeout(this.#timer)
    try {
      await globalThis.fetch('/health/live', { cache: 'no-store' })
      this.answered()
    } catch {
      this.#wait = Math.min(this.#wait * 2, LONGEST_MS)
      this.#later()
    }
  }

  #later(): void {
    this.#timer = setTimeout(() => void this.probe(), this.#wait)
  }
}

export const connection = new Connection()
