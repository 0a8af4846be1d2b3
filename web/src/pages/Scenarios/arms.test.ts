import { describe, expect, it } from 'vitest'
import { freeName, leftOver, nameProblem, settingsOf, shareProblem, type Arm } from './arms'

const B: Arm = { name: 'b', share: 0.3, rules: { diversity: 0.4 } }
const C: Arm = { name: 'c', share: 0.3, rules: {} }

describe('variants of one experiment', () => {
  it('leave the rest of the users to the control', () => {
    expect(leftOver(0.3, [B])).toBeCloseTo(0.4)
    expect(leftOver(0.4, [B, C])).toBe(0)
    expect(shareProblem(0.4, [B, C])).toBeNull()
    expect(shareProblem(0.5, [B, C])).toMatch(/add up to 110%/)
  })

  it('have names of their own', () => {
    expect(nameProblem('d', [B, C])).toBeNull()
    expect(nameProblem('b', [B, C])).toMatch(/already/)
    expect(nameProblem('control', [])).not.toBeNull()
    expect(nameProblem('no spaces', [])).not.toBeNull()
    expect(freeName([B, C])).toBe('d')
  })

  it('go to the service by name, each with its share', () => {
    expect(settingsOf([B, C])).toEqual({ b: { diversity: 0.4, share: 0.3 }, c: { share: 0.3 } })
  })
})
