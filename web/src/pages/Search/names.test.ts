import { describe, expect, it } from 'vitest'
import { filterName, languageName } from './names'
import { filtersOf, readQuestion } from './question'

const told = (query: string) => {
  const question = readQuestion(new URLSearchParams(query))
  return filtersOf(question).map((one) => filterName(one, question, 'en'))
}

describe('names of filters', () => {
  it('are what people call them', () => {
    expect(told('category=sea&language=en&least=4&most=6&since=7')).toEqual(['sea', 'English', '4–6 s', 'Past week'])
    expect(told('least=4&since=2026-01-31')).toEqual(['from 4 s', 'since 31 Jan 2026'])
    expect(told('most=4.5')).toEqual(['up to 4.5 s'])
  })

  it('keep codes that no language has', () => {
    expect(languageName('zh', 'zh')).toBe('中文')
    expect(languageName('not a code', 'en')).toBe('not a code')
  })
})
