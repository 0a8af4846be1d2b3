import { describe, expect, it } from 'vitest'
import { bringNext, compare, splice, topicShares } from './ranks'

const clips = (ids: string) => [...ids].map((id) => ({ id }))
const ids = (list: { id: string }[]) => list.map((clip) => clip.id).join('')

describe('compare', () => {
  it('tells how far each clip has moved, and which are new', () => {
    const { moves, moved, fresh } = compare([...'abcd'], [...'cabx'])
    expect([...moves]).toEqual([
      ['c', 2],
      ['a', -1],
      ['b', -1],
      ['x', 'new'],
    ])
    expect([moved, fresh]).toEqual([3, 1])
  })

  it('finds nothing in a list that is as it was', () => {
    expect(compare([...'abc'], [...'abc'])).toMatchObject({ moved: 0, fresh: 0 })
  })
})

describe('splice', () => {
  it('leaves what was shown where it is, and replaces the rest', () => {
    expect(ids(splice(clips('abcdef'), 1, clips('xyc')))).toBe('abxyc')
  })

  it('shows nothing twice', () => {
    expect(ids(splice(clips('abc'), 1, clips('bxa')))).toBe('abx')
  })
})

describe('bringNext', () => {
  it('puts a clip of the list behind the one that plays', () => {
    expect(ids(bringNext(clips('abcde'), 1, 'e'))).toBe('abecd')
  })

  it('leaves what was shown, and what is not there, alone', () => {
    expect(ids(bringNext(clips('abc'), 1, 'a'))).toBe('abc')
    expect(ids(bringNext(clips('abc'), 1, 'x'))).toBe('abc')
  })
})

describe('topicShares', () => {
  it('sums to one over what has a topic', () => {
    expect(topicShares(['sport', undefined, 'games', 'sport', ''])).toEqual([
      { name: 'sport', share: 2 / 3 },
      { name: 'games', share: 1 / 3 },
    ])
    expect(topicShares([])).toEqual([])
  })
})
