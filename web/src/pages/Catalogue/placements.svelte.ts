import { api, ask } from '$lib/api/client'
import { asApiError } from '$lib/api/errors'
import type { Windowed } from '$lib/api/windowed.svelte'
import { t } from '$lib/i18n/i18n.svelte'
import { toasts } from '$lib/state/toasts.svelte'
import { saidOf } from '$lib/said'
import type { Row } from './filters'
import { bodyOf, each, freePositions, placed, type Change, type Placement } from './placing'

const MOST_PLACED = 500

/** Decisions about items, taken in the table and seen in it at once. */
export class Placements {
  /** Item -> place. */
  taken = $state.raw<ReadonlyMap<string, number>>(new Map())
  /** Of a change of several: how many are done, and of how many. */
  running = $state.raw<{ done: number; n: number } | null>(null)
  readonly #rows: Windowed<Row>
  readonly #onchanged: () => void

  constructor(rows: Windowed<Row>, onchanged: () => void) {
    this.#rows = rows
    this.#onchanged = onchanged
  }

  /** Which places are taken already. */
  async read(signal: AbortSignal): Promise<void> {
    const query = { state: ['placed' as const], limit: MOST_PLACED }
    const page = await ask(api.GET('/v1/catalogue', { params: { query }, signal }))
    const pairs = page.items.flatMap(({ item_id: id, placement }) =>
      placement?.position == null ? [] : [[id, placement.position] as const],
    )
    this.taken = new Map(pairs)
  }

  /** The first place nobody has. */
  get free(): number {
    return freePositions(this.taken.values(), 1)[0] ?? 0
  }

  /** Decide about one item; null where the service refused, which it has said. */
  async change(row: Row, change: Change): Promise<Placement | null> {
    try {
      const placement = await this.put(row, change)
      this.#onchanged()
      return placement
    } catch (thrown) {
      toasts.error(thrown)
      return null
    }
  }

  /** Decide about several, a few at a time. */
  async changeAll(rows: readonly Row[], changeOf: (row: Row, place: number) => Change): Promise<void> {
    const changes = rows.map((row, place) => ({ row, change: changeOf(row, place) }))
    this.running = { done: 0, n: rows.length }
    const failed = await each(
      changes,
      async ({ row, change }) => void (await this.put(row, change)),
      () => (this.running = { done: (this.running?.done ?? 0) + 1, n: rows.length }),
    )
    this.running = null
    this.#onchanged()
    const [first] = failed
    if (first)
      toasts.show('bad', t('catalogue.bulkFailed', { n: failed.length, message: saidOf(asApiError(first.error)) }))
    if (failed.length < rows.length) toasts.good(t('catalogue.bulkDone', { n: rows.length - failed.length }))
  }

  /** Decide about one item; throws what the service says against it. */
  async put(row: Row, change: Change): Promise<Placement> {
    const params = { path: { item_id: row.item_id } }
    const placement = await ask(api.PUT('/v1/items/{item_id}/placement', { params, body: bodyOf(row, change) }))
    const taken = new Map(this.taken)
    if (placement.position === null) taken.delete(row.item_id)
    else taken.set(row.item_id, placement.position)
    this.taken = taken
    this.#rows.change((one) => placed(one, placement))
    return placement
  }
}
