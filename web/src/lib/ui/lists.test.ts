import { describe, expect, it } from 'vitest'
import { nextSort, readSort, writeSort } from './table'
import { windowOf } from './window'

describe('windowOf', () => {
  it('draws what is seen and a little more', () => {
    expect(windowOf(4000, 400, 40, 100_000)).toEqual({ start: 92, end: 118 })
  })

  it('stays within the list', () => {
    expect(windowOf(0, 400, 40, 5)).toEqual({ start: 0, end: 5 })
    expect(windowOf(-50, 400, 40, 100)).toEqual({ start: 0, end: 18 })
    expect(windowOf(9_999_999, 400, 40, 100)).toEqual({ start: 92, end: 100 })
    expect(windowOf(0, 400, 40, 0)).toEqual({ start: 0, end: 0 })
  })
})

describe('the order of a table', () => {
  it('stands in the address', () => {
    expect(readSort('-title', { key: 'id', down: false })).toEqual({ key: 'title', down: true })
    expect(readSort(null, { key: 'id', down: true })).toEqual({ key: 'id', down: true })
    expect(writeSort(readSort('-events', { key: 'id', down: false }))).toBe('-events')
  })

  it('turns round at the second click', () => {
    const first = nextSort(null, 'title')
    expect([first, nextSort(first, 'title'), nextSort(first, 'events')]).toEqual([
      { key: 'title', down: false },
      { key: 'title', down: true },
      { key: 'events', down: false },
    ])
  })
})
