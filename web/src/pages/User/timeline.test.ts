import { describe, expect, it } from 'vitest'
import { kindsOf, visitsOf, type Happening } from './timeline'

const noon = new Date(2026, 0, 31, 12).getTime()
const event = (
  item: string,
  kind: Happening['kind'],
  minutesAgo: number,
  more: Partial<Happening> = {},
): Happening => ({
  item_id: item,
  title: item.toUpperCase(),
  kind,
  timestamp_ms: noon - minutesAgo * 60_000,
  value: null,
  watch_ms: null,
  recommendation_id: null,
  position: null,
  context: {},
  ...more,
})

describe('the timeline', () => {
  it('joins what was done with one clip in a row', () => {
    const visits = visitsOf([
      event('a', 'like', 1),
      event('a', 'watch', 2, { watch_ms: 5000 }),
      event('b', 'skip', 3),
      event('a', 'click', 4),
    ])
    expect(visits.map((visit) => [visit.itemId, visit.events.length, visit.watchMs])).toEqual([
      ['a', 2, 5000],
      ['b', 1, 0],
      ['a', 1, 0],
    ])
  })

  it('keeps apart what lies far apart or was shown by different answers', () => {
    expect(visitsOf([event('a', 'watch', 1), event('a', 'watch', 45)])).toHaveLength(2)
    expect(visitsOf([event('a', 'watch', 1, { recommendation_id: 'r' }), event('a', 'watch', 2)])).toHaveLength(2)
  })

  it('names a day once', () => {
    const days = visitsOf([event('a', 'watch', 1), event('b', 'watch', 2), event('c', 'watch', 24 * 60)])
    expect(days.map((visit) => visit.opensDay)).toEqual([true, false, true])
  })

  it('names each kind once, the strongest first', () => {
    const [visit] = visitsOf([event('a', 'watch', 1), event('a', 'like', 2), event('a', 'watch', 3)])
    expect(visit && kindsOf(visit)).toEqual([
      { kind: 'like', times: 1 },
      { kind: 'watch', times: 2 },
    ])
  })
})
