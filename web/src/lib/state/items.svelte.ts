import { SvelteMap } from 'svelte/reactivity'
import { api, ask, type Schema } from '$lib/api/client'

type Item = Schema<'ItemOut'>

/** Items that lists name by their id alone, fetched once a visit. */
class Items {
  readonly #known = new SvelteMap<string, Item | null>()
  readonly #asked = new Map<string, Promise<void>>()

  /** What is known of an item now; null where there is none, undefined while it is not asked for or on its way. */
  get(id: string): Item | null | undefined {
    return this.#known.get(id)
  }

  /** Fetch those that are not known yet; done when all of them are. */
  async want(ids: readonly string[]): Promise<void> {
    for (const id of ids) if (!this.#asked.has(id)) this.#asked.set(id, this.#fetch(id))
    await Promise.all(ids.map((id) => this.#asked.get(id) ?? Promise.resolve()))
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
