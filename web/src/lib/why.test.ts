import { describe, expect, it } from 'vitest'
import { why } from './why'

describe('why', () => {
  it('names the nearest clip and what speaks for the item', () => {
    const told = why(
      { kind: 'content', strength: 4, modality: 'frames', cosine: 0.8, item: 'v1', title: 'Otters', also: { text: 3 } },
      "looks like 'Otters', which you watched",
    )
    expect([told.before, told.after, told.nearest]).toEqual(['Looks like ', '', { id: 'v1', title: 'Otters' }])
    expect(told.shares.map(({ kind, share }) => [kind, share])).toEqual([
      ['frames', 0.64],
      ['text', 0.36],
    ])
    expect(told.cosine).toBe(0.8)
  })

  it('words what is about nobody in particular', () => {
    expect(why({ kind: 'popularity', strength: 2, rank: 3, out_of: 1440 }, 'popular now').before).toBe(
      'Popular now: number 3 of 1,440',
    )
    expect(why({ kind: 'rest' }, 'from the rest').shares).toEqual([])
  })

  it('names no clip for what somebody has pinned', () => {
    const told = why({ kind: 'pinned', strength: 1, modality: 'text', item: 'v1', title: 'Otters' }, 'pinned')
    expect([told.before, told.nearest]).toEqual(['Pinned to this place', null])
  })

  it("keeps the service's words for kinds that it does not know", () => {
    expect(why({ kind: 'moon', strength: 1 }, 'the moon is full').before).toBe('The moon is full')
    expect(why(null, null)).toMatchObject({ before: '', nearest: null })
  })
})
