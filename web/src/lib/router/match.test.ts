import { describe, expect, it } from 'vitest'
import { href, match, PATHS, search, type PageName } from './match'

describe('match', () => {
  it('finds each page by its own address', () => {
    for (const page of Object.keys(PATHS) as PageName[]) expect(match(href(page))).toEqual({ page, id: '' })
  })

  it('keeps ids with slashes, spaces and signs of any language', () => {
    for (const id of ['films/7', 'a b', '电影?', 'ü%']) {
      expect(match(href('item', id))).toEqual({ page: 'item', id })
    }
  })

  it('knows nothing of other paths', () => {
    for (const path of ['/nowhere', '/items/a/b', '/search/x', '/items/%E0%A4%A']) expect(match(path)).toBeNull()
  })
})

describe('search', () => {
  it('leaves out what is empty', () => {
    expect(search({ q: '', n: 0, mine: false, tab: null, all: true, word: 'a b' })).toBe('?n=0&all=1&word=a+b')
    expect(search({})).toBe('')
  })
})
