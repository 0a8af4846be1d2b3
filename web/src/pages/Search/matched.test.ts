import { describe, expect, it } from 'vitest'
import { matched } from './matched'

const WORDS = {
  oters: { word: 'otters', spelling: 'typo', field: 'title' },
  river: { word: 'river', spelling: 'exact', field: 'tags' },
}

describe('why a clip was found', () => {
  it('names the words and where they stand, then what else adds much', () => {
    const found = matched(
      {
        parts: { words: 3, text: 1, class_names: 0.2, projection: -0.4 },
        evidence: { words: WORDS, cosine: { text: 0.5123 }, copies: ['v2'] },
      },
      null,
      '',
    )
    expect(found.sentence).toBe('“otters” in the title, “river” in the tags or categories; close in meaning')
    expect(found.notes).toEqual(['“oters” read as “otters”', '1 copy of the same clip left out'])
    expect(found.parts.map(({ kind, cosine }) => [kind, cosine])).toEqual([
      ['words', null],
      ['text', 0.5123],
      ['class_names', null],
      ['projection', null],
    ])
    expect(found.bar.map(({ name, share }) => [name, Math.round(share * 100)])).toEqual([
      ['Words', 71],
      ['Subject', 24],
      ['Look', 5],
    ])
  })

  it('says what a clip is like to what was dropped', () => {
    const hit = { parts: { frames: 4, motion: 2, taste: 1 }, evidence: {} }
    expect(matched(hit, 'clip', 'u1').sentence).toBe(
      'Looks like your clip; moves like your clip; suits the taste of u1',
    )
    expect(matched(hit, 'image', 'u1').sentence).toMatch(/^Looks like your picture/)
  })

  it('says so where a clip is called what was asked for, or where nothing stands out', () => {
    expect(matched({ parts: {}, evidence: { named: true } }, null, '').sentence).toBe('Is called exactly so')
    expect(matched({ parts: { text: -1 }, evidence: {} }, null, '').sentence).toBe('Nearest of what is left')
    const reread = matched({ parts: { moon: 1 }, evidence: { reread: 2.5, first_position: 6 } }, null, '')
    expect(reread.notes).toEqual(['Read again closely: was at place 7'])
  })
})
