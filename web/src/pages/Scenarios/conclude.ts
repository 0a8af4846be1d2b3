import type { Schema } from '$lib/api/client'
import { number, percent } from '$lib/format'
import { t, type Key } from '$lib/i18n/i18n.svelte'

type Report = Pick<Schema<'ExperimentOut'>, 'variants' | 'comparisons' | 'mismatch_prob' | 'notices'>
type Comparison = Schema<'ComparisonOut'>

/** Fewer users in a variant say nothing; see `kinema.evaluation.experiments`. */
export const FEW_USERS = 30
const ALARM = 0.001
const CLEAR = 0.05
/** The measure that decides; the others tell what else happened. */
export const PRIMARY = 'click rate'

const MEASURES: Record<string, Key> = {
  'click rate': 'scenarios.clickRate',
  'clicks per slate': 'scenarios.clicksPerSlate',
  'watch seconds per slate': 'scenarios.watchPerSlate',
  'watch seconds per user': 'scenarios.watchPerUser',
  'likes per slate': 'scenarios.likesPerSlate',
}

export const measureName = (measure: string): string => {
  const key = MEASURES[measure]
  return key ? t(key) : measure
}

/** A measure's value as people write it. */
export function measured(measure: string, value: number | null): string {
  if (value === null) return '–'
  if (measure === 'click rate') return percent(value, 2)
  return measure.startsWith('watch') ? t('scenarios.seconds', { n: number(value, 1) }) : number(value, 3)
}

const signed = (share: number) => `${share < 0 ? '−' : '+'}${percent(Math.abs(share), 1)}`

export type Verdict = 'early' | 'nothing' | 'higher' | 'lower' | 'open'

/** A variant against the control in one measure, relative to the control: what is drawn and said. */
export interface Finding {
  variant: string
  measure: string
  verdict: Verdict
  /** Of the control's value; null where nothing can be said. */
  mean: number | null
  low: number | null
  high: number | null
  /** Times the number of variants. */
  p: number | null
  detectable: number | null
  usersNeeded: number | null
  users: number
  fewest: number
}

export function finding(one: Comparison, report: Report): Finding {
  const [control] = report.variants
  const variant = report.variants.find((other) => other.variant === one.variant)
  const base = control?.measures[one.measure]?.mean ?? null
  const { interval, p_value, detectable, users_needed } = one.found
  const of = (value: number | null) => (value === null || !base ? null : value / base)
  const numbers = [control?.users ?? 0, variant?.users ?? 0]
  const p = p_value === null ? null : Math.min(1, p_value * (report.variants.length - 1))
  const early = Math.min(...numbers) < FEW_USERS
  const none = p === null || !base
  const clear: Verdict = (interval.mean ?? 0) > 0 ? 'higher' : 'lower'
  return {
    variant: one.variant,
    measure: one.measure,
    verdict: early ? 'early' : none ? 'nothing' : p < CLEAR ? clear : 'open',
    mean: of(interval.mean),
    low: of(interval.low),
    high: of(interval.high),
    p,
    detectable: of(detectable),
    usersNeeded: users_needed,
    users: numbers.reduce((sum, users) => sum + users, 0),
    fewest: Math.min(...numbers),
  }
}

/** What may be concluded of one measure, in a sentence of the reader's language. */
export function sentence(found: Finding): string {
  const measure = measureName(found.measure)
  if (found.verdict === 'early') return t('scenarios.tooEarly', { n: found.fewest, least: FEW_USERS })
  if (found.verdict === 'nothing') return t('scenarios.nothingSaid', { measure })
  const told = t('scenarios.toldChange', {
    mean: signed(found.mean ?? 0),
    low: signed(found.low ?? 0),
    high: signed(found.high ?? 0),
    p: probability(found.p ?? 1),
  })
  if (found.verdict !== 'open') {
    const key = found.verdict === 'higher' ? 'scenarios.isHigher' : 'scenarios.isLower'
    return t(key, { variant: found.variant, measure, told })
  }
  const open = t('scenarios.isOpen', { measure, told })
  const least = found.detectable === null ? '' : t('scenarios.wouldFind', { least: percent(found.detectable, 1) })
  const needed =
    found.usersNeeded === null
      ? ''
      : t('scenarios.wouldNeed', { needed: number(found.usersNeeded), users: number(found.users) })
  return open + least + needed
}

export const isMixedUp = (report: Report) => report.mismatch_prob !== null && report.mismatch_prob < ALARM

/** What may be concluded of an experiment: a sentence for each variant, by the measure that decides. */
export function conclusions(report: Report): string[] {
  if (isMixedUp(report)) return [t('scenarios.mixedUp')]
  const told = report.comparisons.filter((one) => one.measure === PRIMARY).map((one) => sentence(finding(one, report)))
  return told.length ? told : [t('scenarios.nothingToCompare')]
}

/** Small probabilities as "< 0.001"; nobody reads more digits. */
export const probability = (p: number) => (p < ALARM ? '< 0.001' : `= ${number(p, p < 0.1 ? 3 : 2)}`)
