import type { Schema } from '$lib/api/client'

export type Series = Schema<'HealthSeriesOut'>
type Latency = Schema<'LatencyOut'>
type Reactions = Schema<'ReactionsOut'>
type Numbers = readonly (number | null)[]

export const HOUR_MS = 3_600_000
/** Clicks are rare: their rate is that of so long a time. */
export const CLICKS_MS = 300_000

/** What the last hour told, with what has come since; another process starts anew, because each counts for itself. */
export function merge(known: Series | undefined, fresh: Series): Series {
  if (known?.process !== fresh.process) return fresh
  const kept = known.at_ms.filter((at) => !fresh.at_ms.includes(at)).length
  const at = [...known.at_ms.slice(0, kept), ...fresh.at_ms]
  const from = at.findIndex((one) => one > (at.at(-1) ?? 0) - HOUR_MS)
  const join = <T>(old: readonly T[] | undefined, more: readonly T[] | undefined, none: T): T[] =>
    [...(old?.slice(0, kept) ?? Array<T>(kept).fill(none)), ...(more ?? Array<T>(fresh.at_ms.length).fill(none))].slice(
      Math.max(0, from),
    )
  const maybe = (old?: Numbers, more?: Numbers) => join<number | null>(old, more, null)
  const rate = (old?: readonly number[], more?: readonly number[]) => join(old, more, 0)
  const latency = (old?: Latency, more?: Latency): Latency => ({
    mean: maybe(old?.mean, more?.mean),
    p50: maybe(old?.p50, more?.p50),
    p95: maybe(old?.p95, more?.p95),
    p99: maybe(old?.p99, more?.p99),
  })
  const reactions = (old?: Reactions, more?: Reactions): Reactions => ({
    impressions_per_second: rate(old?.impressions_per_second, more?.impressions_per_second),
    clicks_per_second: rate(old?.clicks_per_second, more?.clicks_per_second),
    watch_seconds_per_second: rate(old?.watch_seconds_per_second, more?.watch_seconds_per_second),
  })
  return {
    process: fresh.process,
    step_seconds: fresh.step_seconds,
    at_ms: at.slice(Math.max(0, from)),
    requests_per_second: each(known.requests_per_second, fresh.requests_per_second, rate),
    latency_ms: latency(known.latency_ms, fresh.latency_ms),
    recommendation_ms: latency(known.recommendation_ms, fresh.recommendation_ms),
    stages_ms: each(known.stages_ms, fresh.stages_ms, latency),
    events_per_second: each(known.events_per_second, fresh.events_per_second, rate),
    event_lag_seconds: maybe(known.event_lag_seconds, fresh.event_lag_seconds),
    model_age_seconds: maybe(known.model_age_seconds, fresh.model_age_seconds),
    index_age_seconds: maybe(known.index_age_seconds, fresh.index_age_seconds),
    coverage: maybe(known.coverage, fresh.coverage),
    cold_share: maybe(known.cold_share, fresh.cold_share),
    reactions: each(known.reactions, fresh.reactions, reactions),
    queues: each(known.queues, fresh.queues, rate),
  }
}

function each<T, R>(
  old: Record<string, T>,
  more: Record<string, T>,
  join: (one?: T, other?: T) => R,
): Record<string, R> {
  const names = new Set([...Object.keys(old), ...Object.keys(more)])
  return Object.fromEntries([...names].map((name) => [name, join(old[name], more[name])]))
}

/** Moments put together, so that a plot has as many points as it can show. */
export interface Bins {
  at: number[]
  /** Where each of them begins among the moments, and where the last one ends. */
  edges: number[]
}

export function binsOf(at: readonly number[], widthMs: number, sinceMs = 0): Bins {
  const bins: Bins = { at: [], edges: [] }
  at.forEach((one, place) => {
    if (one <= sinceMs) return
    const start = Math.floor(one / widthMs) * widthMs
    if (bins.at.at(-1) !== start) {
      bins.at.push(start)
      bins.edges.push(place)
    }
  })
  bins.edges.push(at.length)
  return bins
}

/** One number for each bin: the mean of what is known, or the worst of it; null where nothing is. */
export function binned(values: Numbers, bins: Bins, how: 'mean' | 'most' = 'mean'): (number | null)[] {
  return bins.at.map((_, place) => {
    const known = values.slice(bins.edges[place], bins.edges[place + 1]).filter((one) => one !== null)
    if (!known.length) return null
    return how === 'most' ? Math.max(...known) : known.reduce((sum, one) => sum + one, 0) / known.length
  })
}

/** Of every so many impressions one was clicked, looking back from the end of each bin; null where nothing was shown. */
export function clickRate(told: Reactions, bins: Bins, stepSeconds: number): (number | null)[] {
  const back = Math.round(CLICKS_MS / 1000 / stepSeconds)
  return bins.at.map((_, place) => {
    const end = bins.edges[place + 1] ?? 0
    const start = Math.max(0, end - back)
    const shown = total(told.impressions_per_second.slice(start, end))
    return shown ? total(told.clicks_per_second.slice(start, end)) / shown : null
  })
}

/** The share of answers that were errors, moment by moment: of the service (5xx) or of those who ask (4xx). */
export function errorShare(told: Series, kind: '4xx' | '5xx', bins: Bins): (number | null)[] {
  const means = new Map(Object.entries(told.requests_per_second).map(([name, rates]) => [name, binned(rates, bins)]))
  return bins.at.map((_, place) => {
    const all = total([...means.values()].map((rates) => rates[place] ?? 0))
    return all ? (means.get(kind)?.[place] ?? 0) / all : null
  })
}

/** The stages that take most of the time, the others in one. */
export function slowestStages(told: Series, bins: Bins, most: number): { name: string; values: (number | null)[] }[] {
  const all = Object.entries(told.stages_ms)
    .map(([name, times]) => ({ name, values: binned(times.mean, bins) }))
    .sort((one, other) => total(other.values) - total(one.values))
  if (all.length <= most) return all
  const rest = all.slice(most - 1)
  const values = bins.at.map((_, place) => {
    const known = rest.map((one) => one.values[place]).filter((one) => typeof one === 'number')
    return known.length ? total(known) : null
  })
  return [...all.slice(0, most - 1), { name: '', values }]
}

/** The newest number that is known. */
export function last(values: Numbers): number | null {
  return values.findLast((one) => one !== null) ?? null
}

export function total(values: Numbers): number {
  return values.reduce<number>((sum, one) => sum + (one ?? 0), 0)
}

/** What the last five minutes were like, for the headline. */
export interface Now {
  requests: number | null
  /** Within this time 95 of 100 recommendations were answered, at the worst moment. */
  within: number | null
  errors: number | null
}

export function nowOf(told: Series): Now {
  const bins = binsOf(told.at_ms, HOUR_MS * 24, (told.at_ms.at(-1) ?? 0) - CLICKS_MS)
  const rates = Object.values(told.requests_per_second).map((one) => total(binned(one, bins)) / (bins.at.length || 1))
  const worst = binned(told.recommendation_ms.p95, bins, 'most').filter((one) => one !== null)
  const failed = errorShare(told, '5xx', bins).filter((one) => one !== null)
  return {
    requests: told.at_ms.length ? total(rates) : null,
    within: worst.length ? Math.max(...worst) : null,
    errors: failed.length ? Math.max(...failed) : null,
  }
}
