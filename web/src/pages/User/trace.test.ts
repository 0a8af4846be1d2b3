import { describe, expect, it } from 'vitest'
import { marksOf, stagesOf, totalMs } from './trace'

const trace = [
  { stage: 'filter', num_in: 100_000, num_out: 99_990, milliseconds: 0.5, detail: { removed: { seen: 3, hidden: 7 } } },
  { stage: 'pin', num_in: 99_990, num_out: 99_989, milliseconds: 0.1, detail: { pinned: { '0': 'p' }, left_out: {} } },
  { stage: 'retrieve:memory', num_in: 99_989, num_out: 200, milliseconds: 0.4, detail: { removed: {}, first: ['a'] } },
  { stage: 'rerank', num_in: 200, num_out: 10, milliseconds: 1, detail: { lifted_in: ['a'], let_in_new: ['n'] } },
  { stage: 'explore', num_in: 10, num_out: 10, milliseconds: 0, detail: { drawn: ['a'] } },
]

describe('the trace of a slate', () => {
  it('names stage and source, and what fell away, the most first', () => {
    const stages = stagesOf(trace)
    expect(stages[2]).toMatchObject({ stage: 'retrieve', source: 'memory', numOut: 200, removed: [] })
    expect(stages[0]?.removed.map((one) => one.reason)).toEqual(['hidden', 'seen'])
  })

  it('draws ten beside a hundred thousand', () => {
    const [first, , , slate] = stagesOf(trace)
    expect(first?.width).toBeCloseTo(1, 3)
    expect(slate?.width).toBeGreaterThan(0.15)
    expect(stagesOf([{ stage: 'filter', num_in: 0, num_out: 0, milliseconds: 0, detail: {} }])[0]?.width).toBe(0)
  })

  it('adds up the time', () => {
    expect(totalMs(trace)).toBeCloseTo(2)
  })

  it('says what the rules did to an item', () => {
    const marks = marksOf(trace)
    expect(marks.get('a')).toEqual(['varied', 'drawn'])
    expect(marks.get('n')).toEqual(['new'])
  })
})
