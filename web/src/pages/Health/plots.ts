import { colourOf } from '$lib/charts/theme'
import { t } from '$lib/i18n/i18n.svelte'
import { number, percent, took } from '$lib/format'
import { binned, clickRate, errorShare, slowestStages, type Bins, type Series } from './series'
import { span } from './span'

type Values = (number | null)[]
type Write = (value: number) => string

interface Line {
  name: string
  values: Values
  colour?: string
}

export interface Plot {
  id: string
  title: string
  /** What it says, in a sentence. */
  label: string
  note?: string
  lines: Line[]
  write: Write
  /** Parts of a whole, upon each other. */
  stacked?: boolean
  /** Where the axis ends; where the numbers end if left out. */
  top?: number
  /** Whole numbers. */
  whole?: boolean
  /** A value that should not be passed. */
  limit?: { value: number; name: string }
  /** What stands there until there is something to show. */
  empty: string
}

const MOST_STAGES = 6
const perSecond: Write = (value) => number(value, value < 10 ? 2 : 0)
const share: Write = (value) => percent(value, 1)

/** How many answers, how fast, how many of them errors. */
function traffic(told: Series, bins: Bins): Plot[] {
  const status = { '2xx': '--k1', '3xx': '--c-popularity', '4xx': '--warn', '5xx': '--bad' } as const
  const rates = Object.entries(told.requests_per_second).map(([name, values]) => ({
    name,
    values: binned(values, bins),
    ...(name in status ? { colour: colourOf(status[name as keyof typeof status]) } : {}),
  }))
  const latency = (name: 'p50' | 'p95' | 'p99', colour: string): Line => ({
    name,
    values: binned(told.recommendation_ms[name], bins, name === 'p50' ? 'mean' : 'most'),
    colour: colourOf(colour),
  })
  return [
    {
      id: 'requests',
      title: t('health.requests'),
      note: t('health.perSecond'),
      label: t('health.requestsLabel'),
      lines: rates.filter((line) => line.name === '2xx' || line.values.some(Boolean)),
      write: perSecond,
      stacked: true,
      empty: t('health.noRequests'),
    },
    {
      id: 'latency',
      title: t('health.latency'),
      label: t('health.latencyLabel'),
      lines: [latency('p50', '--k1'), latency('p95', '--k2'), latency('p99', '--k3')],
      write: took,
      limit: { value: 100, name: t('health.limit') },
      empty: t('health.noRecommendations'),
    },
    {
      id: 'stages',
      title: t('health.stages'),
      note: t('health.stagesNote'),
      label: t('health.stagesLabel'),
      lines: slowestStages(told, bins, MOST_STAGES).map((stage) => ({
        name: stage.name || t('health.others'),
        values: stage.values,
      })),
      write: took,
      stacked: true,
      empty: t('health.noRecommendations'),
    },
    {
      id: 'errors',
      title: t('health.errorPlot'),
      note: t('health.ofAnswers'),
      label: t('health.errorLabel'),
      lines: [
        { name: t('health.serverErrors'), values: errorShare(told, '5xx', bins), colour: colourOf('--bad') },
        { name: t('health.clientErrors'), values: errorShare(told, '4xx', bins), colour: colourOf('--warn') },
      ],
      write: share,
      limit: { value: 0.01, name: t('health.limit') },
      empty: t('health.noRequests'),
    },
  ]
}

/** What arrives and how soon it counts. */
function freshness(told: Series, bins: Bins): Plot[] {
  const outcomes = { accepted: '--k1', known: '--c-popularity', rejected: '--bad' } as const
  return [
    {
      id: 'lag',
      title: t('health.lag'),
      note: t('health.lagNote'),
      label: t('health.lagLabel'),
      lines: [{ name: t('health.lag'), values: binned(told.event_lag_seconds, bins), colour: colourOf('--k2') }],
      write: span,
      empty: t('health.noEvents'),
    },
    {
      id: 'events',
      title: t('health.events'),
      note: t('health.perSecond'),
      label: t('health.eventsLabel'),
      lines: Object.entries(outcomes).map(([name, colour]) => ({
        name: t(`health.${name as keyof typeof outcomes}`),
        values: binned(told.events_per_second[name] ?? [], bins),
        colour: colourOf(colour),
      })),
      write: perSecond,
      stacked: true,
      empty: t('health.noEvents'),
    },
    {
      id: 'age',
      title: t('health.age'),
      note: t('health.ageNote'),
      label: t('health.ageLabel'),
      lines: [
        { name: t('health.model'), values: binned(told.model_age_seconds, bins), colour: colourOf('--c-model') },
        { name: t('health.index'), values: binned(told.index_age_seconds, bins), colour: colourOf('--k2') },
      ],
      write: span,
      empty: t('health.noModel'),
    },
    {
      id: 'queues',
      title: t('health.queues'),
      note: t('health.queuesNote'),
      label: t('health.queuesLabel'),
      lines: Object.entries(told.queues).map(([name, values]) => ({
        name: name === 'events' ? t('health.queueEvents') : name === 'media' ? t('health.queueMedia') : name,
        values: binned(values, bins, 'most'),
      })),
      write: (value) => number(value),
      whole: true,
      empty: t('health.noQueues'),
    },
  ]
}

/** What becomes of slates. */
function reach(told: Series, bins: Bins): Plot[] {
  const places = Object.entries(told.reactions).filter(([name]) => name)
  return [
    {
      id: 'coverage',
      title: t('health.coverage'),
      note: t('health.coverageNote'),
      label: t('health.coverageLabel'),
      lines: [{ name: t('health.coverage'), values: binned(told.coverage, bins), colour: colourOf('--k1') }],
      write: share,
      top: 1,
      empty: t('health.noSlates'),
    },
    {
      id: 'cold',
      title: t('health.cold'),
      note: t('health.coldNote'),
      label: t('health.coldLabel'),
      lines: [{ name: t('health.cold'), values: binned(told.cold_share, bins), colour: colourOf('--k4') }],
      write: share,
      empty: t('health.noSlates'),
    },
    {
      id: 'clicks',
      title: t('health.clicks'),
      note: t('health.clicksNote'),
      label: t('health.clicksLabel'),
      lines: places.map(([name, one]) => ({ name, values: clickRate(one, bins, told.step_seconds) })),
      write: share,
      empty: t('health.noReactions'),
    },
    {
      id: 'watching',
      title: t('health.watching'),
      note: t('health.watchingNote'),
      label: t('health.watchingLabel'),
      lines: places.map(([name, one]) => ({ name, values: binned(one.watch_seconds_per_second, bins) })),
      write: perSecond,
      stacked: true,
      empty: t('health.noReactions'),
    },
  ]
}

/** Every plot of the page, in its order. */
export function plotsOf(told: Series, bins: Bins): Plot[] {
  return [...traffic(told, bins), ...freshness(told, bins), ...reach(told, bins)]
}

/** Whether there is anything to draw. */
export function hasNumbers(plot: Plot): boolean {
  return plot.lines.some((line) => line.values.some((value) => value !== null))
}

const FEW = 3

/** How the chart library is asked for it. */
export function optionOf(plot: Plot, bins: Bins): Record<string, unknown> {
  const write = (value: unknown) => (typeof value === 'number' ? plot.write(value) : '–')
  const top = Math.max(...plot.lines.flatMap((line) => line.values.map((value) => value ?? 0)))
  const limit = plot.limit && top > plot.limit.value / 3 ? plot.limit : undefined
  return {
    grid: { top: plot.lines.length > 1 ? 34 : 12 },
    legend: { show: plot.lines.length > 1, type: 'plain' },
    tooltip: { trigger: 'axis', valueFormatter: write },
    xAxis: {
      type: 'time',
      minInterval: 60_000,
      // A service that has just begun has a point or two; an axis of its own choice would then show days.
      min: (shown: { max: number; min: number }) => Math.min(shown.min, shown.max - 5 * 60_000),
      axisLabel: { hideOverlap: true, formatter: '{HH}:{mm}' },
    },
    yAxis: {
      type: 'value',
      min: 0,
      splitNumber: 3,
      axisLabel: { formatter: (value: number) => (value ? write(value) : '0') },
      // An axis of nothing would end at 120 %.
      ...(plot.top || !top ? { max: plot.top ?? 1 } : {}),
      ...(plot.top ? { interval: plot.top / 4 } : {}),
      ...(plot.whole ? { minInterval: 1 } : {}),
    },
    series: plot.lines.map((line, place) => ({
      name: line.name,
      type: 'line',
      data: bins.at.map((at, one) => [at, line.values[one] ?? (plot.stacked ? 0 : null)]),
      connectNulls: true,
      // A line through one point is none.
      symbol: line.values.filter((value) => value !== null).length < FEW ? 'circle' : 'none',
      symbolSize: 4,
      ...(line.colour ? { color: line.colour } : {}),
      ...(plot.stacked ? { stack: 'all', areaStyle: { opacity: 0.6 }, lineStyle: { width: 0 } } : {}),
      ...(limit && place === 0 ? { markLine: markLine(limit) } : {}),
    })),
  }
}

function markLine(limit: { value: number; name: string }): Record<string, unknown> {
  return {
    silent: true,
    symbol: 'none',
    animation: false,
    lineStyle: { color: colourOf('--bad'), type: 'dashed', width: 1, opacity: 0.7 },
    label: { formatter: limit.name, position: 'insideEndTop', color: colourOf('--ink-3'), fontSize: 11 },
    data: [{ yAxis: limit.value }],
  }
}

/** The same numbers as rows, the newest first. */
export function tableOf(plot: Plot, bins: Bins, moment: (at: number) => string) {
  return {
    head: [t('health.time'), ...plot.lines.map((line) => line.name)],
    rows: bins.at
      .map((at, place) => [
        moment(at),
        ...plot.lines.map((line) => {
          const value = line.values[place]
          return value === null || value === undefined ? '–' : plot.write(value)
        }),
      ])
      .reverse(),
  }
}
