import type { Schema } from '$lib/api/client'
import type { Key } from '$lib/i18n/i18n.svelte'
import { number, percent } from '$lib/format'
import { span } from './span'

export type Alert = Schema<'AlertOut'>

/** What is said of the whole: wrong, worth a look, about to be, well. */
export type Tone = 'bad' | 'warn' | 'pending' | 'good'

export interface Verdict {
  tone: Tone
  firing: Alert[]
  pending: Alert[]
}

export function verdict(alerts: readonly Alert[]): Verdict {
  const firing = alerts.filter((one) => one.state === 'firing')
  const pending = alerts.filter((one) => one.state === 'pending')
  const tone = firing.some((one) => one.severity === 'critical')
    ? 'bad'
    : firing.length
      ? 'warn'
      : pending.length
        ? 'pending'
        : 'good'
  return { tone, firing, pending }
}

type Write = (value: number) => string
const share: Write = (value) => percent(value, 1)
const rate: Write = (value) => `${number(value, 1)}/s`

/** What a rule is called, what to do about it, and how its number is written; new rules have the service's own words. */
export const RULES: Record<string, { title: Key; todo: Key; write?: Write }> = {
  KinemaDown: { title: 'health.down', todo: 'health.downTodo' },
  KinemaErrors: { title: 'health.errors', todo: 'health.errorsTodo', write: share },
  KinemaSlow: { title: 'health.slow', todo: 'health.slowTodo', write: span },
  KinemaEventLag: { title: 'health.eventLag', todo: 'health.eventLagTodo', write: span },
  KinemaModelStale: { title: 'health.modelStale', todo: 'health.modelStaleTodo', write: span },
  KinemaIndexStale: { title: 'health.indexStale', todo: 'health.indexStaleTodo', write: span },
  KinemaQueueGrows: { title: 'health.queueGrows', todo: 'health.queueGrowsTodo', write: number },
  KinemaNoTraffic: { title: 'health.noTraffic', todo: 'health.noTrafficTodo' },
  KinemaEventsRejected: { title: 'health.eventsRejected', todo: 'health.eventsRejectedTodo', write: share },
  KinemaAuthFailures: { title: 'health.authFailures', todo: 'health.authFailuresTodo', write: rate },
  KinemaRateLimited: { title: 'health.rateLimited', todo: 'health.rateLimitedTodo', write: rate },
  KinemaClickRateFell: { title: 'health.clickRateFell', todo: 'health.clickRateFellTodo', write: share },
}

/** Of what an alert is, and its number: "media · 2,310". */
export function detail(alert: Alert): string {
  const write = RULES[alert.name]?.write
  const labels = Object.values(alert.labels).filter(Boolean)
  return [...labels, ...(write && alert.value !== null ? [write(alert.value)] : [])].join(' · ')
}
