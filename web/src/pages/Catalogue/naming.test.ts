import { describe, expect, it } from 'vitest'
import { idOf, idsOf, looksLikeClip, titleOf } from './naming'

describe('names of clips', () => {
  it('follow from the file', () => {
    expect([titleOf('my_first-clip 2.mp4'), idOf('My_first-clip 2.mp4')]).toEqual([
      'My first clip 2',
      'my-first-clip-2',
    ])
    expect([titleOf('电影.MOV'), idOf('电影.MOV'), idOf('***.mp4')]).toEqual(['电影', '电影', 'clip'])
  })

  it('are never the same twice', () => {
    expect(idsOf(['a.mp4', 'A.mov', 'b.mp4'], ['b'])).toEqual(['a', 'a-2', 'b-2'])
  })

  it('tell clips from other files', () => {
    expect(looksLikeClip({ name: 'a.MKV', type: '' })).toBe(true)
    expect(looksLikeClip({ name: 'a', type: 'video/mp4' })).toBe(true)
    expect(looksLikeClip({ name: 'a.txt', type: 'text/plain' })).toBe(false)
  })
})
