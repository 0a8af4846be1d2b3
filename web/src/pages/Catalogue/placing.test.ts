import { describe, expect, it } from 'vitest'
import type { Row } from './filters'
import { bodyOf, each, freePositions, placed, stepped } from './placing'

const row: Row = {
  item_id: 'a',
  title: 'A',
  categories: [],
  tags: [],
  language: '',
  published_at: null,
  duration_ms: null,
  has_media: true,
  hidden: false,
  recommendable: true,
  events: 0,
  popularity: 0,
  placement: null,
}
const decision = { item_id: 'a', hidden: false, boost: 0.5, position: 3, updated_ms: 1 }

describe('placements', () => {
  it('keep what is not changed', () => {
    expect(bodyOf(row, { hidden: true })).toEqual({ hidden: true, boost: 0, position: null })
    expect(bodyOf({ placement: decision }, { position: null })).toEqual({ hidden: false, boost: 0.5, position: null })
  })

  it('boost in steps, no further than there is', () => {
    expect([stepped(0, 1), stepped(0.9, 1), stepped(-1, -1), stepped(0.3, -1)]).toEqual([0.25, 1, -1, 0])
  })

  it('show in the row at once', () => {
    const hidden = placed(row, { ...decision, hidden: true })
    expect([hidden.hidden, hidden.recommendable]).toEqual([true, false])
    const shown = placed(hidden, { ...decision, updated_ms: null })
    expect([shown.hidden, shown.recommendable, shown.placement]).toEqual([false, true, null])
    expect(placed(row, { ...decision, item_id: 'b' })).toBe(row)
  })

  it('leave an item hidden that hides itself', () => {
    expect(placed({ ...row, hidden: true, recommendable: false }, decision).hidden).toBe(true)
  })

  it('find places that nobody has', () => {
    expect(freePositions([0, 2], 3)).toEqual([1, 3, 4])
  })

  it('go on where one fails', async () => {
    let done = 0
    const failed = await each(
      [1, 2, 3, 4, 5],
      (one) => (one === 2 ? Promise.reject(new Error('no')) : Promise.resolve()),
      () => (done += 1),
      2,
    )
    expect([failed.map(({ one }) => one), done]).toEqual([[2], 5])
  })
})
