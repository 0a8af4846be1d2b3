import { describe, expect, it } from 'vitest'
import { chartOf, courseOf } from './days'

const DAYS: Parameters<typeof courseOf>[0] = [
  { day: '2026-01-29', counts: { watch: 3, impression: 9 } },
  { day: '2026-01-31', counts: { watch: 1, like: 2 } },
]

describe("an item's events over time", () => {
  it('have every day from the first to the last', () => {
    const course = courseOf(DAYS)
    expect(course.days).toEqual(['2026-01-29', '2026-01-30', '2026-01-31'])
    expect(course.kinds).toEqual([
      { kind: 'watch', counts: [3, 0, 1] },
      { kind: 'like', counts: [0, 0, 2] },
      { kind: 'impression', counts: [9, 0, 0] },
    ])
    expect(course.total).toBe(15)
    expect(courseOf([])).toEqual({ days: [], kinds: [], total: 0 })
  })

  it('are bars on each other, with a line of how often it was shown', () => {
    const option = chartOf(
      courseOf(DAYS),
      (kind) => kind,
      (token) => token,
    )
    expect(option.series.map(({ name, type, color }) => [name, type, color])).toEqual([
      ['watch', 'bar', '--k1'],
      ['like', 'bar', '--like'],
      ['impression', 'line', '--c-popularity'],
    ])
  })
})
