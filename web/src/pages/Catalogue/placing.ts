import type { Schema } from '$lib/api/client'
import type { Row } from './filters'

export type Placement = Schema<'PlacementOut'>
export type Body = Schema<'PlacementIn'>
export type Change = Partial<Body>

export const BOOST_STEP = 0.25
const LAST_POSITION = 999

/** What is decided of an item now. */
export const decided = (row: Pick<Row, 'placement'>): Body => ({
  hidden: row.placement?.hidden ?? false,
  boost: row.placement?.boost ?? 0,
  position: row.placement?.position ?? null,
})

/** A decision replaces all of the one before: what is not changed goes along. */
export const bodyOf = (row: Pick<Row, 'placement'>, change: Change): Body => ({ ...decided(row), ...change })

/** The boost one step up or down, within what there is. */
export function stepped(boost: number, steps: number): number {
  const next = Math.round((boost + steps * BOOST_STEP) / BOOST_STEP) * BOOST_STEP
  return Math.max(-1, Math.min(1, next))
}

/** Hidden by its own data: that is changed where the data comes from. */
export const hidesItself = (row: Row): boolean => row.hidden && !row.placement?.hidden

/** A row after a decision. */
export function placed(row: Row, placement: Placement): Row {
  if (row.item_id !== placement.item_id) return row
  const hidden = placement.hidden || hidesItself(row)
  const recommendable = hidden ? false : row.recommendable || (row.hidden && !isScheduled(row))
  return { ...row, hidden, recommendable, placement: placement.updated_ms === null ? null : placement }
}

export const isScheduled = (row: Pick<Row, 'published_at'>, now = Date.now()): boolean =>
  row.published_at !== null && row.published_at > now

/** The first places nobody has, from the top. */
export function freePositions(taken: Iterable<number>, count: number): number[] {
  const there = new Set(taken)
  const free: number[] = []
  for (let position = 0; position <= LAST_POSITION && free.length < count; position += 1) {
    if (!there.has(position)) free.push(position)
  }
  return free
}

/** Do work on each, some at a time; what failed is returned with its error, the others are not held up. */
export async function each<T>(
  all: readonly T[],
  work: (one: T) => Promise<void>,
  ondone: () => void = () => undefined,
  atOnce = 4,
): Promise<{ one: T; error: unknown }[]> {
  const waiting = [...all]
  const failed: { one: T; error: unknown }[] = []
  const worker = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      try {
        await work(one)
      } catch (error) {
        failed.push({ one, error })
      }
      ondone()
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker))
  return failed
}
