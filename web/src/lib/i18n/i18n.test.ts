import { afterEach, describe, expect, it } from 'vitest'
import en from './en'
import { fill, parts, t, translator } from './i18n.svelte'
import zh from './zh'

const places = (text: string) => [...text.matchAll(/\{(\w+)/g)].map(([, name]) => name).sort()

afterEach(() => translator.choose('en'))

describe('the two languages', () => {
  it('have the same pages and the same texts', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort())
    for (const page of Object.keys(en) as (keyof typeof en)[]) {
      expect(Object.keys(zh[page]).sort(), page).toEqual(Object.keys(en[page]).sort())
    }
  })

  it('have no empty text, and name values that the other one names', () => {
    for (const page of Object.keys(en) as (keyof typeof en)[]) {
      for (const [key, text] of Object.entries<string>(en[page])) {
        const other = (zh[page] as Record<string, string>)[key] ?? ''
        expect(text.trim() && other.trim(), `${page}.${key}`).toBeTruthy()
        for (const place of places(other)) expect(places(text), `${page}.${key}`).toContain(place)
      }
    }
  })
})

describe('t', () => {
  it('puts values in, and writes one or several', () => {
    expect(t('common.clips', { n: 1 })).toBe('1 clip')
    expect(t('common.clips', { n: 2 })).toBe('2 clips')
    expect(fill('{a} and {b}', { a: 1 })).toBe('1 and {b}')
  })

  it('speaks the chosen language', async () => {
    await translator.choose('zh')
    expect(t('common.clips', { n: 2 })).toBe('2 个短片')
    expect(document.documentElement.lang).toBe('zh-Hans')
  })

  it('cuts a sentence where something else than text stands', () => {
    expect(parts('why.byMemory', 'title')).toEqual(['People who watched ', ' also watched this'])
  })
})
