import { describe, expect, it } from 'vitest'
import { arrowsOf, fastest, fieldAt, mostTrust, type Field } from './field'

const field = (time_ms: number, right: number, trust = 1): Field => ({
  time_ms,
  right: [[right, 0]],
  down: [[0, right / 2]],
  trust: [[trust, 0.5]],
})

describe('a flow field', () => {
  it('goes over from one moment to the next', () => {
    const fields = [field(0, 0), field(1000, 0.4)]
    expect(fieldAt(fields, 250)?.right).toEqual([[0.1, 0]])
    expect(fieldAt(fields, 250)?.down).toEqual([[0, 0.05]])
    expect([fieldAt(fields, -5), fieldAt(fields, 9000)]).toEqual(fields)
    expect(fieldAt([], 0)).toBeNull()
  })

  it('is measured by what can be believed', () => {
    expect(fastest([field(0, 0.4), field(1, 9, 0.01)])).toBeCloseTo(0.4)
    expect([fastest([]), mostTrust([])]).toEqual([0, 0])
    expect(mostTrust([field(0, 1, 0.4)])).toBe(0.5)
  })

  it('is drawn in cells', () => {
    const [first, second] = arrowsOf(field(0, 0.4), 0.4, 0.5)
    expect(first).toEqual({ x: 0.25, y: 0.25, right: 0.5, down: 0, trust: 1 })
    expect(second).toEqual({ x: 0.75, y: 0.25, right: 0, down: 0.25, trust: 0.5 })
    expect(arrowsOf(field(0, 0), 0, 1)[0]?.right).toBe(0)
  })
})
