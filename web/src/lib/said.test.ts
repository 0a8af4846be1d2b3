import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ApiError } from './api/errors'
import { translator } from './i18n/i18n.svelte'
import { headline, said, saidOf } from './said'

/** What the service wrote, and what a Chinese reader sees before it. */
const SENTENCES: readonly (readonly [string, string])[] = [
  [
    "cannot decode 'clips/a.mp4': moov atom not found, 48 KB read; the item keeps its text features",
    '无法解码“clips/a.mp4”',
  ],
  ['cannot decode the clip: moov atom not found, 5 KB read; the item keeps its text', '无法解码此短片'],
  ["cannot read 'a.mp4': the file vanished or is not readable; the item keeps its text features", '无法读取“a.mp4”'],
  ["unknown item 'v9'", '没有短片“v9”'],
  ["unknown user 'u9'", '没有观众“u9”'],
  ['the recommender was not ready in time; the item keeps its text', '推荐服务未能及时就绪'],
  ["timestamp_ms must be a time, is 'x'", "timestamp_ms 的值 'x' 不符合要求"],
  ["watch_ms must be at most 86400000, is 90000000; seconds are 'watch_seconds'", 'watch_ms 的值 90000000 不符合要求'],
  ["'a.txt' must be a picture, it is text", "'a.txt' 不符合要求"],
  ['Must be at least 1, is 0', '0 不符合要求'],
]

beforeEach(() => translator.choose('zh'))
afterEach(() => translator.choose('en'))

describe('what the service says of a failure', () => {
  it.each(SENTENCES)('%s', (message, short) => {
    expect(said(message)).toBe(`${short}（${message}）`)
  })

  it('is told by its code where its form is not known', () => {
    expect(saidOf(new ApiError(413, 'too_large', 'a body of 9 MB'))).toBe('内容过大（a body of 9 MB）')
    expect(saidOf(new ApiError(0, 'unexpected', 'no'))).toBe('服务没有响应（no）')
    expect(saidOf(new ApiError(418, 'brand_new', 'a pot'))).toBe('操作未成功（a pot）')
  })

  it('has a text for every code of the service', async () => {
    const source = readFileSync('../src/kinema/serving/problems.py', 'utf8')
    const codes = /_CODES: Final = \{([^}]*)\}/.exec(source)?.[1]?.match(/(?<=")[a-z_]+/g) ?? []
    expect(codes.length).toBeGreaterThan(10)
    for (const language of ['en', 'zh'] as const) {
      await translator.choose(language)
      const other = headline(new ApiError(418, 'brand_new', 'a pot'))
      for (const code of codes) expect(headline(new ApiError(400, code, 'so')), code).not.toBe(other)
    }
  })

  it('is its own sentence in English, under a headline', async () => {
    await translator.choose('en')
    expect(said("unknown item 'v9'")).toBe("unknown item 'v9'")
    expect(headline(new ApiError(404, 'not_found', "unknown item 'v9'"))).toBe('There is no clip “v9”')
    expect(headline(new ApiError(500, 'internal', 'the service failed to answer'))).toBe('The service failed')
  })
})
