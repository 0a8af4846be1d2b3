import type { Schema } from '$lib/api/client'
import { draftValue, given, type Scalar } from './scalars'

/** Rules as the API reads and writes them: the keys that are not as usual. */
export type Rules = Record<string, unknown>

export const SOURCES = ['model', 'memory', 'content', 'popularity', 'fresh'] as const
export type Source = (typeof SOURCES)[number]
const LISTS = ['categories', 'not_categories', 'tags', 'not_tags', 'languages'] as const
const NUMBERS = ['max_age_days', 'min_seconds', 'max_seconds'] as const

/** A condition as a form holds it: no field is missing, an empty one says nothing. */
export interface ConditionDraft extends Record<(typeof LISTS)[number], string[]> {
  published_since: string
  max_age_days: number | null
  min_seconds: number | null
  max_seconds: number | null
  attributes: { name: string; values: string[] }[]
  available_until: string
}

export interface BoostDraft extends ConditionDraft {
  multiply: number | null
  add: number | null
}

/** A scenario's rules as the form holds them. */
export interface Draft {
  /** Weights; null: not asked. All null: every source is asked as usual. */
  sources: Record<Source, number | null>
  rank_by: 'model' | 'sources'
  ranker: boolean
  filter: ConditionDraft
  exclude_seen: boolean
  boosts: BoostDraft[]
  /** Places count from 1 here, as people count. */
  pins: { place: number | null; item: string }[]
  caps: { name: string; most: number | null }[]
  diversity: number | null
  fresh_share: number | null
  exploration: number
  max_items: number | null
}

/** Every key of the form with what it is where nothing is said. */
export const USUAL: Rules = {
  sources: {},
  rank_by: 'model',
  ranker: true,
  filter: {},
  exclude_seen: true,
  boosts: [],
  pins: {},
  caps: {},
  diversity: null,
  fresh_share: null,
  exploration: 0,
  max_items: null,
}

const dateOf = (value: unknown): string =>
  typeof value === 'number'
    ? new Date(value).toISOString().slice(0, 10)
    : (typeof value === 'string' ? value : '').slice(0, 10)

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null)

const entries = (value: unknown): [string, unknown][] => Object.entries((value ?? {}) as Record<string, unknown>)

export function conditionDraft(rules: Rules = {}): ConditionDraft {
  const list = (key: string) => [...((rules[key] ?? []) as string[])]
  return {
    categories: list('categories'),
    not_categories: list('not_categories'),
    tags: list('tags'),
    not_tags: list('not_tags'),
    languages: list('languages'),
    published_since: dateOf(rules['published_since']),
    max_age_days: numberOf(rules['max_age_days']),
    min_seconds: numberOf(rules['min_seconds']),
    max_seconds: numberOf(rules['max_seconds']),
    attributes: entries(rules['attributes']).map(([name, wanted]) => ({
      name,
      values: ([wanted].flat() as Scalar[]).map(draftValue),
    })),
    available_until: textOf(rules['available_until']),
  }
}

export const boostDraft = (rules: Rules = {}): BoostDraft => ({
  ...conditionDraft(rules),
  multiply: numberOf(rules['multiply']) ?? 1,
  add: numberOf(rules['add']) ?? 0,
})

/** Rules as a form. */
export function draftOf(rules: Rules): Draft {
  const weights = (rules['sources'] ?? {}) as Partial<Record<Source, number>>
  return {
    sources: Object.fromEntries(SOURCES.map((one) => [one, weights[one] ?? null])) as Draft['sources'],
    rank_by: rules['rank_by'] === 'sources' ? 'sources' : 'model',
    ranker: rules['ranker'] !== false,
    filter: conditionDraft(rules['filter'] as Rules | undefined),
    exclude_seen: rules['exclude_seen'] !== false,
    boosts: ((rules['boosts'] ?? []) as Rules[]).map(boostDraft),
    pins: entries(rules['pins']).map(([place, item]) => ({ place: Number(place) + 1, item: String(item) })),
    caps: entries(rules['caps']).map(([name, most]) => ({ name, most: Number(most) })),
    diversity: numberOf(rules['diversity']),
    fresh_share: numberOf(rules['fresh_share']),
    exploration: numberOf(rules['exploration']) ?? 0,
    max_items: numberOf(rules['max_items']),
  }
}

function conditionRules(draft: ConditionDraft): Rules {
  const rules: Rules = {}
  for (const key of LISTS) if (draft[key].length) rules[key] = [...draft[key]]
  if (draft.published_since) rules['published_since'] = draft.published_since
  for (const key of NUMBERS) if (draft[key] !== null) rules[key] = draft[key]
  const attributes = draft.attributes.filter((one) => one.name.trim() && one.values.length)
  if (attributes.length) {
    rules['attributes'] = Object.fromEntries(attributes.map((one) => [one.name.trim(), one.values.map(given)]))
  }
  if (draft.available_until.trim()) rules['available_until'] = draft.available_until.trim()
  return rules
}

function boostRules(draft: BoostDraft): Rules {
  const rules = conditionRules(draft)
  if (draft.multiply !== null && draft.multiply !== 1) rules['multiply'] = draft.multiply
  if (draft.add) rules['add'] = draft.add
  return rules
}

/**
 * A form as rules; what is as usual is left out.
 *
 * @param draft The form.
 * @param held The rules it began with: keys that the form does not have stay as they were. What belongs to an experiment is left
 *   out, so that a running one goes on.
 */
export function rulesOf(draft: Draft, held: Rules = {}): Rules {
  const sources = SOURCES.filter((one) => draft.sources[one] !== null).map((one) => [one, draft.sources[one]])
  const pins = draft.pins.filter((one) => one.place !== null && one.item)
  const all: Rules = {
    sources: Object.fromEntries(sources) as Rules,
    rank_by: draft.rank_by,
    ranker: draft.ranker,
    filter: conditionRules(draft.filter),
    exclude_seen: draft.exclude_seen,
    boosts: draft.boosts.map(boostRules),
    pins: Object.fromEntries(pins.map((one) => [String((one.place ?? 1) - 1), one.item])),
    caps: Object.fromEntries(draft.caps.filter((one) => one.name.trim()).map((one) => [one.name.trim(), one.most])),
    diversity: draft.diversity,
    fresh_share: draft.fresh_share,
    exploration: draft.exploration,
    max_items: draft.max_items,
  }
  const kept = Object.entries(ownRules(held)).filter(([key]) => !(key in USUAL))
  return {
    ...Object.fromEntries(kept),
    ...Object.fromEntries(Object.entries(all).filter(([key, value]) => !same(value, USUAL[key]))),
  }
}

/** Rules without what belongs to an experiment. */
export function ownRules(rules: Rules): Rules {
  return Object.fromEntries(Object.entries(rules).filter(([key]) => key !== 'variants' && key !== 'experiment'))
}

/** Whether two values say the same, whatever the order of their keys. */
export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const pairs = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const)
  return Object.fromEntries(pairs.sort(([one], [other]) => (one < other ? -1 : 1)))
}

/** The keys in which two sets of rules differ. */
export function changedKeys(before: Rules, after: Rules): string[] {
  const keys = new Set([...Object.keys(ownRules(before)), ...Object.keys(ownRules(after))])
  return [...keys].filter((key) => !same(before[key] ?? USUAL[key], after[key] ?? USUAL[key]))
}

/** What a variant must say to turn the first rules into the others: a key that goes back to the usual is said, too. */
export function variantRules(before: Rules, after: Rules): Rules {
  return Object.fromEntries(changedKeys(before, after).map((key) => [key, after[key] ?? USUAL[key] ?? null]))
}

/** Rules where the client wants a whole settings object: the API fills what is left out. */
export const asSettings = (rules: Rules) => rules as unknown as Schema<'ScenarioSettings'>
