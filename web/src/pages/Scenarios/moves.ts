export interface Placed {
  item_id: string
  title: string
  position: number
  reason?: string | null
}

export type Move =
  { kind: 'entered' } | { kind: 'left' } | { kind: 'same' } | { kind: 'up'; by: number } | { kind: 'down'; by: number }

/** What becomes of each item of two slates: of the proposed ones how they came there, of the present ones whether they leave. */
export function moves(now: readonly Placed[] | null, then: readonly Placed[]): { now: Move[]; then: Move[] } {
  const before = new Map((now ?? []).map((one, place) => [one.item_id, place]))
  const after = new Map(then.map((one, place) => [one.item_id, place]))
  return {
    now: (now ?? []).map((one) => (after.has(one.item_id) ? { kind: 'same' } : { kind: 'left' })),
    then: then.map((one, place) => {
      const was = before.get(one.item_id)
      if (was === undefined) return { kind: 'entered' }
      if (was === place) return { kind: 'same' }
      return was > place ? { kind: 'up', by: was - place } : { kind: 'down', by: place - was }
    }),
  }
}

/** How many entered, left and moved. */
export function counted(found: { now: Move[]; then: Move[] }): { entered: number; left: number; moved: number } {
  const of = (list: Move[], ...kinds: Move['kind'][]) => list.filter((one) => kinds.includes(one.kind)).length
  return { entered: of(found.then, 'entered'), left: of(found.now, 'left'), moved: of(found.then, 'up', 'down') }
}
