import { t } from '$lib/i18n/i18n.svelte'
import { percent } from '$lib/format'
import type { Rules } from './rules'

/** A variant of an experiment that is being put together. */
export interface Arm {
  name: string
  share: number
  /** What is different. */
  rules: Rules
}

/** As many as the service takes. */
export const MOST_ARMS = 20
const CONTROL = 'control'
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
/** Sums of hundredths are not exact. */
const SLACK = 1e-6

/** What is wrong with a variant's name beside the others; null for nothing. */
export function nameProblem(name: string, others: readonly Arm[]): string | null {
  if (name === CONTROL) return t('scenarios.notControl')
  if (!NAME.test(name)) return t('scenarios.nameWrong')
  return others.some((one) => one.name === name) ? t('scenarios.armNameTaken') : null
}

/** Users that no variant takes, 0 to 1; below 0 where too many are asked for. */
export function leftOver(share: number, others: readonly Arm[]): number {
  const left = others.reduce((sum, one) => sum - one.share, 1 - share)
  return Math.abs(left) < SLACK ? 0 : left
}

/** What is wrong with the shares together; null for nothing. */
export function shareProblem(share: number, others: readonly Arm[]): string | null {
  const left = leftOver(share, others)
  return left < 0 ? t('scenarios.sharesWrong', { sum: percent(1 - left) }) : null
}

/** The next name that is free: b, c, d, ... */
export function freeName(others: readonly Arm[]): string {
  for (let code = 98; code <= 122; code += 1) {
    const name = String.fromCharCode(code)
    if (!others.some((one) => one.name === name)) return name
  }
  return ''
}

/** The variants as the API takes them. */
export const settingsOf = (arms: readonly Arm[]): Record<string, Rules> =>
  Object.fromEntries(arms.map(({ name, share, rules }) => [name, { ...rules, share }]))
