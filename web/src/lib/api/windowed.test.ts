import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from './errors'
import { Windowed, type LoadSlice } from './windowed.svelte'

const asked: number[] = []
const numbers: LoadSlice<number> = (offset, limit) => {
  asked.push(offset)
  return Promise.resolve({ rows: Array.from({ length: limit }, (_, place) => offset + place), total: 100_000 })
}

beforeEach(() => {
  vi.useFakeTimers()
  asked.length = 0
})
afterEach(() => vi.useRealTimers())

describe('a long list', () => {
  it('loads what is looked at, once', async () => {
    const list = new Windowed(numbers, 10)
    await list.ask()
    expect([list.total, list.row(3), list.row(50_000)]).toEqual([100_000, 3, undefined])
    list.want(50_005, 50_015)
    await vi.advanceTimersByTimeAsync(100)
    expect([list.row(50_005), list.row(50_014)]).toEqual([50_005, 50_014])
    list.want(50_006, 50_016)
    await vi.advanceTimersByTimeAsync(100)
    expect(asked).toEqual([0, 50_000, 50_010])
  })

  it('waits until the scrolling has settled', async () => {
    const list = new Windowed(numbers, 10)
    await list.ask()
    for (let at = 100; at < 90_000; at += 1000) list.want(at, at + 5)
    await vi.advanceTimersByTimeAsync(100)
    expect(asked).toEqual([0, 89_100])
  })

  it('keeps what is shown until another question is answered', async () => {
    const list = new Windowed(numbers, 10)
    await list.ask()
    const other = list.ask(() => Promise.resolve({ rows: [7], total: 1 }))
    expect([list.row(3), list.refreshing]).toEqual([3, true])
    await other
    expect([list.row(0), list.row(3), list.total, list.refreshing]).toEqual([7, undefined, 1, false])
  })

  it('never shows the answer of a question that was given up', async () => {
    const list = new Windowed(numbers, 10)
    const slow = list.ask(
      (_, __, signal) =>
        new Promise((resolve) => {
          setTimeout(() => resolve({ rows: signal.aborted ? [-1] : [-2], total: 1 }), 500)
        }),
    )
    await list.ask(numbers)
    await vi.advanceTimersByTimeAsync(600)
    await slow
    expect([list.row(0), list.total]).toEqual([0, 100_000])
  })

  it('changes rows where they stand', async () => {
    const list = new Windowed(numbers, 10)
    await list.ask()
    list.change((row) => (row === 2 ? 200 : row))
    expect([...list.loaded()].slice(1, 4)).toEqual([
      [1, 1],
      [2, 200],
      [3, 3],
    ])
  })

  it('tells what went wrong', async () => {
    const list = new Windowed<number>(() => Promise.reject(new ApiError(503, 'busy', 'later')))
    await list.ask()
    expect([list.error?.message, list.begun, list.refreshing]).toEqual(['later', false, false])
  })
})
