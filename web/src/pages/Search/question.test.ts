import { describe, expect, it } from 'vitest'
import { asForm, asked, filtersOf, joinNames, kindOf, PAGE, readQuestion, sinceMs, splitNames } from './question'

const read = (query: string) => readQuestion(new URLSearchParams(query))
const NOW = Date.UTC(2026, 0, 31)

describe('a question', () => {
  it('stands in the address', () => {
    expect(read('q=otters&category=sea,city%20life&language=en&least=4&most=6.5&since=30&viewer=u1&n=48')).toEqual({
      q: 'otters',
      categories: ['sea', 'city life'],
      language: 'en',
      least: 4,
      most: 6.5,
      since: '30',
      viewer: 'u1',
      n: 48,
    })
  })

  it('is plain where the address is empty or nonsense', () => {
    const plain = { q: '', categories: [], language: '', least: null, most: null, since: '', viewer: '', n: PAGE }
    expect(read('')).toEqual(plain)
    expect(read('least=soon&most=-3&since=never&n=1e9')).toEqual({ ...plain, n: 240 })
  })

  it('keeps names with commas apart', () => {
    const names = ['sea, river', 'back\\slash', 'plain']
    expect(splitNames(joinNames(names))).toEqual(names)
    expect(splitNames('')).toEqual([])
  })

  it('means days back from now, or a day', () => {
    expect(sinceMs('7', NOW)).toBe(Date.UTC(2026, 0, 24))
    expect(sinceMs('2026-01-02', NOW)).toBe(Date.UTC(2026, 0, 2))
    expect([sinceMs('', NOW), sinceMs('2026-13-40', NOW)]).toEqual([null, null])
  })

  it('is asked without what is not set', () => {
    expect(asked(read('q=otters'), NOW)).toEqual({ q: 'otters', n: PAGE })
    expect(asked(read('q=a&category=sea&language=en&least=0.5&most=6&since=7&viewer=u1'), NOW)).toEqual({
      q: 'a',
      n: PAGE,
      user_id: 'u1',
      category: ['sea'],
      language: ['en'],
      min_duration_ms: 500,
      max_duration_ms: 6000,
      published_since: Date.UTC(2026, 0, 24),
    })
  })

  it('goes into a form beside a file', () => {
    const form = asForm(read('category=sea,land'), 'image', new File(['x'], 'still.png'), NOW)
    expect([...form.keys()]).toEqual(['image', 'q', 'n', 'category', 'category'])
    expect(form.getAll('category')).toEqual(['sea', 'land'])
  })

  it('loses one filter at a time', () => {
    const filters = filtersOf(read('category=sea,land&most=9&since=7&language=en'))
    expect(filters.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'category sea',
      'category land',
      'language en',
      'length ',
      'since 7',
    ])
    expect(filters[0]?.without).toEqual({ category: 'land' })
    expect(filtersOf(read('q=a&viewer=u1'))).toEqual([])
  })

  it('takes pictures and clips, by type or by name', () => {
    expect(kindOf({ type: 'image/png', name: '' })).toBe('image')
    expect(kindOf({ type: '', name: 'A.MKV' })).toBe('clip')
    expect(kindOf({ type: 'application/pdf', name: 'a.pdf' })).toBeNull()
  })
})
