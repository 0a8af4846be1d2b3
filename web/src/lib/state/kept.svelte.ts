const PREFIX = 'kinema.'

function read<T>(key: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + key)
    return text === null ? otherwise : (JSON.parse(text) as T)
  } catch {
    return otherwise // storage is forbidden, or holds something else
  }
}

/** A value that outlives the page, in this browser alone. */
export class Kept<T> {
  #value = $state.raw() as T
  readonly #key: string

  constructor(key: string, otherwise: T) {
    this.#key = key
    this.#value = read(key, otherwise)
  }

  get value(): T {
    return this.#value
  }

  set value(next: T) {
    this.#value = next
    try {
      localStorage.setItem(PREFIX + this.#key, JSON.stringify(next))
    } catch {
      // kept for this page alone
    }
  }
}

/** Sound of every player. */
export const muted = new Kept('muted', true)
