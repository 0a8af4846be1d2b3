import { describe, expect, it } from 'vitest'
import {
  binned,
  binsOf,
  clickRate,
  errorShare,
  HOUR_MS,
  last,
  merge,
  nowOf,
  slowestStages,
  type Series,
} from './series'
import { span } from './span'
import { detail, verdict, type Alert } from './verdict'

const none = { mean: [], p50: [], p95: [], p99: [] }
const flat = (value: number | null, n: number) => Array<number | null>(n).fill(value)
const times = (value: number | null, n = 1) => ({
  mean: flat(value, n),
  p50: flat(value, n),
  p95: flat(value, n),
  p99: flat(value, n),
})

function series(at_ms: number[], rest: Partial<Series> = {}): Series {
  const n = at_ms.length
  return {
    process: 7,
    step_seconds: 10,
    at_ms,
    requests_per_second: { '2xx': Array<number>(n).fill(3), '5xx': Array<number>(n).fill(1) },
    latency_ms: times(5, n),
    recommendation_ms: times(40, n),
    stages_ms: {},
    events_per_second: {},
    event_lag_seconds: flat(null, n),
    model_age_seconds: flat(60, n),
    index_age_seconds: flat(60, n),
    coverage: flat(0.5, n),
    cold_share: flat(0, n),
    reactions: {},
    queues: {},
    ...rest,
  }
}

const alert = (rest: Partial<Alert>): Alert => ({
  name: 'KinemaErrors',
  severity: 'critical',
  state: 'inactive',
  summary: '',
  description: '',
  labels: {},
  value: null,
  since_ms: null,
  hold_seconds: 300,
  ...rest,
})

describe('what is kept of the last hour', () => {
  it('goes on where it ended', () => {
    const both = merge(series([1, 2]), series([3], { queues: { media: [9] }, stages_ms: { rank: times(2) } }))
    expect(both.at_ms).toEqual([1, 2, 3])
    expect(both.queues).toEqual({ media: [0, 0, 9] })
    expect(both.stages_ms['rank']?.p50).toEqual([null, null, 2])
    expect(both.requests_per_second['2xx']).toEqual([3, 3, 3])
  })

  it('does not count a moment twice, and forgets what is older than an hour', () => {
    const both = merge(series([1, 2]), series([2, HOUR_MS + 1]))
    expect(both.at_ms).toEqual([2, HOUR_MS + 1])
    expect(both.coverage).toEqual([0.5, 0.5])
  })

  it('pads what is not told any more, and begins anew with another process', () => {
    const old = series([1], { queues: { media: [4] } })
    expect(merge(old, series([2])).queues).toEqual({ media: [4, 0] })
    expect(merge(old, series([2], { process: 8 })).at_ms).toEqual([2])
    expect(merge(undefined, old)).toBe(old)
    expect(merge(old, series([], { latency_ms: none })).at_ms).toEqual([1])
  })
})

describe('what is plotted', () => {
  const bins = binsOf([10_000, 20_000, 61_000], 60_000)

  it('puts moments together', () => {
    expect(bins).toEqual({ at: [0, 60_000], edges: [0, 2, 3] })
    expect(binsOf([10_000, 20_000, 61_000], 60_000, 20_000)).toEqual({ at: [60_000], edges: [2, 3] })
    expect(binned([1, 3, null], bins)).toEqual([2, null])
    expect(binned([1, 3, 5], bins, 'most')).toEqual([3, 5])
  })

  it('counts clicks by what was shown, and errors by what was answered', () => {
    const told = { impressions_per_second: [4, 4, 0], clicks_per_second: [1, 0, 1], watch_seconds_per_second: [] }
    expect(clickRate(told, bins, 10)).toEqual([0.125, 0.25])
    expect(clickRate({ ...told, impressions_per_second: [0, 0, 0] }, bins, 10)).toEqual([null, null])
    expect(errorShare(series([1, 2, 3]), '5xx', bins)).toEqual([0.25, 0.25])
    expect(errorShare(series([1, 2, 3]), '4xx', bins)).toEqual([0, 0])
    expect(errorShare(series([1, 2, 3], { requests_per_second: {} }), '5xx', bins)).toEqual([null, null])
  })

  it('names the slowest stages', () => {
    const told = series([1, 2, 3], { stages_ms: { a: times(1, 3), b: times(9, 3), c: times(3, 3), d: times(null, 3) } })
    expect(slowestStages(told, bins, 4).map((one) => one.name)).toEqual(['b', 'c', 'a', 'd'])
    expect(slowestStages(told, bins, 2)).toEqual([
      { name: 'b', values: [9, 9] },
      { name: '', values: [4, 4] },
    ])
  })

  it('tells the last five minutes in three numbers', () => {
    expect(nowOf(series([1, 2, 3]))).toEqual({ requests: 4, within: 40, errors: 0.25 })
    expect(nowOf(series([]))).toEqual({ requests: null, within: null, errors: null })
    expect(last([1, null, 4, null])).toBe(4)
    expect(last([null])).toBeNull()
  })
})

describe('the verdict', () => {
  it('is as bad as the worst that fires', () => {
    const quiet = alert({})
    const late = alert({ state: 'firing', severity: 'warning' })
    expect(verdict([quiet]).tone).toBe('good')
    expect(verdict([quiet, alert({ state: 'pending' })]).tone).toBe('pending')
    expect(verdict([late, quiet]).tone).toBe('warn')
    expect(verdict([alert({ state: 'firing' }), late]).tone).toBe('bad')
  })

  it('writes a number in its unit', () => {
    expect(detail(alert({ value: 0.0523 }))).toBe('5.2%')
    expect(detail(alert({ name: 'KinemaQueueGrows', value: 2310, labels: { queue: 'media' } }))).toBe('media · 2,310')
    expect(detail(alert({ name: 'New', value: 3 }))).toBe('')
    expect([0.235, 90, 1800, 10_800, 691_200].map(span)).toEqual(['235 ms', '90 secs', '30 mins', '3 hrs', '8 days'])
  })
})
