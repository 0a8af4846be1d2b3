import { SvelteMap } from 'svelte/reactivity'
import { api, ask, type Schema } from '$lib/api/client'

type Item = Schema<'ItemOut'>

/** Items that lists name by their id alone, fetched once a visit. */
class Items {
  readonly #known = new SvelteMap<string, Item | null>()
  readonly #asked = new Set<string>()

  /** What is known of an item now; null where there is none, undefined while it is not asked for or on its way. */
  get(id: string): Item | null | undefined {
    return this.#known.get(id)
  }

  /** Fetch those that are not known yet. */
  async want(ids: readonly string[]): Promise<void> {
    const fresh = ids.filter((id) => !this.#asked.has(id))
    fresh.forEach((id) => this.#asked.add(id))
    await Promise.all(fresh.map((id) => this.#fetch(id)))
  }

  async #fetch(id: string): Promise<void> {
    try {
      this.#known.set(id, await ask(api.GET('/v1/items/{item_id}', { params: { path: { item_id: id } } })))
    } catch {
      this.#known.set(id, null)
      this.#asked.delete(id) // asked for again by the next list that names it
    }
  }
}

export const items = new Items()
