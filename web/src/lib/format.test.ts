import { describe, expect, it } from 'vitest'
import { ago, bytes, clock, number, percent, points, shortDay, took } from './format'

describe('formats', () => {
  it('writes lengths of clips as players do', () => {
    expect([0, 6400, 65_000, 3_605_000].map(clock)).toEqual(['0:00', '0:06', '1:05', '1:00:05'])
  })

  it('writes durations in the unit that fits', () => {
    expect([0.42, 2.34, 12.3, 2300].map(took)).toEqual(['420 µs', '2.3 ms', '12 ms', '2.3 s'])
  })

  it('writes sizes, shares and changes', () => {
    expect([0, 999, 12_345_678].map(bytes)).toEqual(['0 B', '999 B', '12.3 MB'])
    expect([number(12_345), percent(0.4149), points(0.12), points(-0.031), points(0)]).toEqual([
      '12,345',
      '41%',
      '+12',
      '-3',
      '0',
    ])
  })

  it('writes days in short', () => {
    expect(shortDay('2026-01-31')).toBe('31 Jan')
  })

  it('tells how long ago something was', () => {
    const now = Date.UTC(2026, 0, 31)
    expect(ago(now - 3 * 60_000, now)).toBe('3 minutes ago')
    expect(ago(now - 26 * 3_600_000, now)).toBe('yesterday')
  })
})
