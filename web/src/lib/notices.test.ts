import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { translator } from './i18n/i18n.svelte'
import en from './i18n/en/notices'
import zh from './i18n/zh/notices'
import { remark, remarks, type Code } from './notices'

/** What the service can say, from the types that are made of its OpenAPI document. */
const CODES = (/NoticeOut: [^]*?\bcode: ([^;]*);/.exec(schema())?.[1]?.match(/[a-z_]+/g) ?? []) as Code[]
const VALUES = {
  user: 'u1',
  item: 'v1',
  branch: 'content',
  text: 'otters',
  word: 'oter',
  model: 'next',
  ranker: 'click',
  version: '3',
  other: 'otter',
  words: ['ab', 'cd'],
  count: 2,
  found: 1,
  wanted: 3,
  why: 'no encoder',
  removed: { seen: 4, 'of another mood': 1 },
  users: { control: 100, b: 300 },
  shares: { control: 0.5, b: 0.5 },
}

function schema(): string {
  return readFileSync('src/lib/api/schema.d.ts', 'utf8')
}

beforeEach(() => translator.choose('en'))
afterEach(() => translator.choose('en'))

describe('a remark of the service', () => {
  it('is known by its code in both languages, with every value filled in', async () => {
    expect(CODES.length).toBeGreaterThan(20)
    for (const language of ['en', 'zh'] as const) {
      await translator.choose(language)
      for (const code of CODES) {
        expect(Object.keys(language === 'en' ? en : zh)).toContain(code)
        const said = remark({ code, text: 'plain', values: VALUES })
        expect(said, code).not.toMatch(/[{}]|plain|undefined/)
        expect(/[\u4e00-\u9fff]/.test(said), `${language} ${code}`).toBe(language === 'zh')
      }
    }
  })

  it('counts what was left out', async () => {
    const few = { code: 'too_few', text: '', values: { found: 1, wanted: 3, removed: { seen: 4, copies: 1 } } } as const
    expect(remark(few)).toBe('Only 1 of 3: of the others 4 seen, 1 copy')
    await translator.choose('zh')
    expect(remark(few)).toBe('只有 1 个，少于所要的 3 个：其余的4 个已看过，1 个是重复内容')
    expect(remark({ ...few, values: { ...few.values, removed: {} } })).toMatch(/没有更多了$/)
  })

  it('stays as it is where the service is newer than the page', () => {
    expect(remark({ code: 'brand_new' as Code, text: 'as written', values: {} })).toBe('as written')
  })
})

describe('all remarks on an answer', () => {
  it('are one line; none is null; without codes the line is as the service wrote it', () => {
    const hidden = { code: 'item_hidden', text: '', values: {} } as const
    const late = { code: 'item_unpublished', text: '', values: {} } as const
    expect(remarks({ notices: [hidden, late] })).toBe(
      'The clip is hidden: nobody is shown it yet; The clip is not published yet',
    )
    expect(remarks({ notices: [], notice: null })).toBeNull()
    expect(remarks({ notice: 'old' })).toBe('old')
  })
})
