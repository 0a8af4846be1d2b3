import type { Schema } from '$lib/api/client'
import { number, shortDay } from '$lib/format'
import type { Key } from '$lib/i18n/i18n.svelte'

const DAY_MS = 86_400_000

/** What people do, in the order of the chart, with its name and its colour. */
export const KINDS: Record<string, { name: Key; colour: string }> = {
  watch: { name: 'item.kindWatch', colour: '--k1' },
  click: { name: 'item.kindClick', colour: '--k2' },
  like: { name: 'item.kindLike', colour: '--like' },
  share: { name: 'item.kindShare', colour: '--k5' },
  comment: { name: 'item.kindComment', colour: '--k8' },
  follow: { name: 'item.kindFollow', colour: '--k4' },
  purchase: { name: 'item.kindPurchase', colour: '--k7' },
  rating: { name: 'item.kindRating', colour: '--k3' },
  skip: { name: 'item.kindSkip', colour: '--k6' },
  dislike: { name: 'item.kindDislike', colour: '--bad' },
  impression: { name: 'item.kindImpression', colour: '--c-popularity' },
}

export interface Course {
  /** Days as 2026-01-31, without gaps. */
  days: string[]
  /** Kinds that occur, each with a number for each day. */
  kinds: { kind: string; counts: number[] }[]
  total: number
}

/** Every day from the first with events to the last; days without are zero. */
export function courseOf(days: readonly Schema<'DayOut'>[]): Course {
  const first = days[0]
  const last = days.at(-1)
  if (!first || !last) return { days: [], kinds: [], total: 0 }
  const begin = Date.parse(first.day)
  const length = Math.round((Date.parse(last.day) - begin) / DAY_MS) + 1
  const named = Array.from({ length }, (_, place) => new Date(begin + place * DAY_MS).toISOString().slice(0, 10))
  const counted = new Map(days.map((one) => [one.day, one.counts as Record<string, number>]))
  const kinds = Object.keys(KINDS)
    .map((kind) => ({ kind, counts: named.map((day) => counted.get(day)?.[kind] ?? 0) }))
    .filter(({ counts }) => counts.some(Boolean))
  return { days: named, kinds, total: kinds.flatMap(({ counts }) => counts).reduce((sum, one) => sum + one, 0) }
}

/** What people did stands on each other; how often it was shown is a line above it. */
export function chartOf(course: Course, nameOf: (kind: string) => string, colour: (token: string) => string) {
  return {
    legend: { type: 'scroll' },
    grid: { top: 36 },
    tooltip: { trigger: 'axis', valueFormatter: (value: unknown) => number(Number(value)) },
    xAxis: { type: 'category', data: course.days, axisLabel: { formatter: shortDay } },
    yAxis: { type: 'value', minInterval: 1 },
    series: course.kinds.map(({ kind, counts }) => {
      const paint = colour(KINDS[kind]?.colour ?? '--ink-3')
      const one = { name: nameOf(kind), data: counts, color: paint }
      return kind === 'impression'
        ? { ...one, type: 'line', lineStyle: { width: 1.5, color: paint } }
        : { ...one, type: 'bar', stack: 'done', barMaxWidth: 18, itemStyle: { borderRadius: 0 } }
    }),
  }
}
