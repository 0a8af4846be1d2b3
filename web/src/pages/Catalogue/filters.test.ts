import { describe, expect, it } from 'vitest'
import { askedOf, isNarrow, joined, readFilters } from './filters'

const read = (text: string) => readFilters(new URLSearchParams(text))

describe('filters of the catalogue', () => {
  it('stand in the address, with commas in names', () => {
    const names = ['war, and peace', '城市', 'a%b']
    const query = new URLSearchParams({ category: joined(names), state: 'cold,hidden', q: 'otter', sort: '-title' })
    const filters = readFilters(query)
    expect(filters.categories).toEqual(names)
    expect([filters.states, filters.q, filters.sort]).toEqual([
      ['cold', 'hidden'],
      'otter',
      { key: 'title', down: true },
    ])
    expect(isNarrow(filters)).toBe(true)
  })

  it('leave out what makes no sense', () => {
    const filters = read('state=cold,nonsense&length=endless&age=-1&sort=colour')
    expect([filters.states, filters.length, filters.age, filters.sort.key]).toEqual([['cold'], '', '', 'added'])
    expect(isNarrow(read(''))).toBe(false)
  })

  it('are asked of the service', () => {
    const asked = askedOf(read('length=medium&age=week&category=sea&sort=events'), 200, 100, 1_000_000_000)
    expect(asked).toMatchObject({
      category: ['sea'],
      min_duration_ms: 10_000,
      max_duration_ms: 60_000,
      published_since: 1_000_000_000 - 7 * 86_400_000,
      sort: 'events',
      descending: false,
      offset: 200,
      limit: 100,
    })
    expect(askedOf(read(''), 0, 10).q).toBeUndefined()
  })
})
