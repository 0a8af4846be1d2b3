import type { ApiError } from '$lib/api/errors'
import { t } from '$lib/i18n/i18n.svelte'
import { number } from '$lib/format'
import { said } from '$lib/said'
import { SOURCES, type ConditionDraft, type Draft } from './rules'

/** What is wrong, by field: the API's own names, rows of lists as `pins.#0`. */
export type Problems = Record<string, string>

const MOST = 1000
const LONGEST_DAYS = 36_500

function between(value: number | null, low: number, high: number, whole = false): string | null {
  if (value === null || !Number.isFinite(value)) return t('scenarios.mustNumber')
  if (value < low || value > high) return t('scenarios.mustBetween', { low: number(low, 2), high: number(high) })
  return whole && !Number.isInteger(value) ? t('scenarios.mustWhole') : null
}

function above(value: number | null, high: number): string | null {
  if (value === null) return null
  if (value <= 0) return t('scenarios.mustPositive')
  return value > high ? t('scenarios.mustAtMost', { high: number(high) }) : null
}

function ofCondition(draft: ConditionDraft, at: string, note: (path: string, text: string | null) => void) {
  note(`${at}.max_age_days`, above(draft.max_age_days, LONGEST_DAYS))
  note(`${at}.min_seconds`, above(draft.min_seconds, Number.MAX_SAFE_INTEGER))
  note(`${at}.max_seconds`, above(draft.max_seconds, Number.MAX_SAFE_INTEGER))
  if (draft.min_seconds !== null && draft.max_seconds !== null && draft.min_seconds > draft.max_seconds) {
    note(`${at}.max_seconds`, t('scenarios.mustReachMin'))
  }
  draft.attributes.forEach((one, row) => {
    if (!one.name.trim() || !one.values.length) note(`${at}.attributes.#${row}`, t('scenarios.mustBoth'))
  })
}

/** What keeps a form from being sent, found while one types; the service looks again. */
export function problemsOf(draft: Draft): Problems {
  const found: Problems = {}
  const note = (path: string, text: string | null) => {
    if (text !== null) found[path] = text
  }
  for (const one of SOURCES) {
    const weight = draft.sources[one]
    if (weight !== null) note(`sources.${one}`, above(weight, MOST))
  }
  ofCondition(draft.filter, 'filter', note)
  draft.boosts.forEach((one, row) => {
    ofCondition(one, `boosts.${row}`, note)
    note(`boosts.${row}.multiply`, between(one.multiply, 0, MOST))
    note(`boosts.${row}.add`, between(one.add, -1, 1))
  })
  draft.pins.forEach((one, row) => {
    const twice = draft.pins.some((other, place) => place < row && other.place === one.place)
    note(`pins.#${row}`, between(one.place, 1, MOST, true) ?? (twice ? t('scenarios.mustOnce') : null))
    if (!one.item) note(`pins.#${row}`, t('scenarios.mustItem'))
  })
  draft.caps.forEach((one, row) => {
    const twice = draft.caps.some((other, place) => place < row && other.name.trim() === one.name.trim())
    note(`caps.#${row}`, between(one.most, 1, MOST, true) ?? (twice ? t('scenarios.mustOnce') : null))
    if (!one.name.trim()) note(`caps.#${row}`, t('scenarios.mustName'))
  })
  if (draft.max_items !== null) note('max_items', between(draft.max_items, 1, MOST, true))
  return found
}

export interface Refusal {
  /** Of the field, without what stands before the rules; '' where it is about all of them. */
  path: string
  message: string
}

/** What the service refuses, at the field it names: `rules.boosts.0.multiply must be ...` -> `boosts.0.multiply`, `must be ...`. */
export function refusalOf(error: ApiError, before: string): Refusal {
  const field = error.field ?? ''
  const path = field === before ? '' : field.startsWith(`${before}.`) ? field.slice(before.length + 1) : ''
  const message = path && error.message.startsWith(field) ? error.message.slice(field.length).trim() : error.message
  return { path: path.replace(/\.\[key\]$/, ''), message: message.charAt(0).toUpperCase() + message.slice(1) }
}

/** The message that belongs to a field: of itself or of a part of it. */
export function messageAt(refusal: Refusal | null, path: string): string | null {
  if (!refusal?.path) return null
  return refusal.path === path || refusal.path.startsWith(`${path}.`) ? said(refusal.message) : null
}
