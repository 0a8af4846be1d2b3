import { describe, expect, it } from 'vitest'
import { Cursored, type Batch } from './cursored.svelte'
import { ApiError } from './errors'

const pages: Record<string, Batch<number>> = { '': { rows: [1, 2], next: 'b' }, b: { rows: [3], next: null } }
const load = (cursor: string | null) => Promise.resolve(pages[cursor ?? ''] ?? { rows: [], next: null })

describe('a list that comes page by page', () => {
  it('follows the cursors to the end and asks no further', async () => {
    let asked = 0
    const list = new Cursored<number>((cursor) => {
      asked += 1
      return load(cursor)
    })
    await list.more()
    expect([list.rows, list.ended]).toEqual([[1, 2], false])
    await Promise.all([list.more(), list.more()])
    await list.more()
    expect([list.rows, list.ended, asked]).toEqual([[1, 2, 3], true, 2])
  })

  it('tells what went wrong and can be asked again', async () => {
    let broken = true
    const list = new Cursored<number>((cursor) =>
      broken ? Promise.reject(new ApiError(503, 'busy', 'later')) : load(cursor),
    )
    await list.more()
    expect([list.error?.message, list.begun]).toEqual(['later', false])
    broken = false
    await list.more()
    expect([list.rows, list.error]).toEqual([[1, 2], null])
  })

  it('drops a page that nobody waits for', async () => {
    const list = new Cursored<number>(load)
    const asked = list.more()
    list.stop()
    await asked
    expect(list.rows).toEqual([])
  })

  it('begins again', async () => {
    const list = new Cursored<number>(load)
    await list.more()
    await list.more()
    await list.again()
    expect([list.rows, list.ended]).toEqual([[1, 2], false])
  })
})
