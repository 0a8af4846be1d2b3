import type { Schema } from '$lib/api/client'

export type Point = Schema<'MapPointOut'>
export type Colouring = 'category' | 'cold'

export interface Group {
  /** The category, `cold` or `warm`; '' for what is left over. */
  key: string
  count: number
  /** A token of the visual language. */
  token: string
}

const NUM_COLOURS = 8
const REST = '--c-popularity'

/** Categories by how much there is of them, each with its colour; beyond eight the rest is one group. */
function byCategory(points: readonly Point[]): Group[] {
  const counts = new Map<string, number>()
  for (const one of points) counts.set(one.category, (counts.get(one.category) ?? 0) + 1)
  const named = [...counts]
    .filter(([key]) => key)
    .sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1))
  const shown = named.slice(0, NUM_COLOURS).map(([key, count], place) => ({ key, count, token: `--k${place + 1}` }))
  const rest = points.length - shown.reduce((sum, one) => sum + one.count, 0)
  return rest ? [...shown, { key: '', count: rest, token: REST }] : shown
}

function byCold(points: readonly Point[]): Group[] {
  const cold = points.filter((one) => one.cold).length
  return [
    { key: 'warm', count: points.length - cold, token: '--c-frames' },
    { key: 'cold', count: cold, token: '--c-text' },
  ]
}

/** What the colours of the map stand for. */
export const groupsOf = (points: readonly Point[], by: Colouring): Group[] =>
  by === 'category' ? byCategory(points) : byCold(points)

/** The group that a point belongs to. */
export function groupOf(point: Point, groups: readonly Group[], by: Colouring): Group | undefined {
  const key = by === 'category' ? point.category : point.cold ? 'cold' : 'warm'
  return groups.find((one) => one.key === key) ?? groups.find((one) => one.key === '')
}
