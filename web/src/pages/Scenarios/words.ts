import { number, percent } from '$lib/format'
import { t, type Key } from '$lib/i18n/i18n.svelte'
import { same, SOURCES, USUAL, type Rules, type Source } from './rules'

export const NAMES: Record<Source, Key> = {
  model: 'scenarios.sourceModel',
  memory: 'scenarios.sourceMemory',
  content: 'scenarios.sourceContent',
  popularity: 'scenarios.sourcePopularity',
  fresh: 'scenarios.sourceFresh',
}

const words = (value: unknown): string => [value].flat().map(String).join(t('scenarios.comma'))

const CONDITIONS: Record<string, Key> = {
  categories: 'scenarios.saysCategories',
  not_categories: 'scenarios.saysNotCategories',
  tags: 'scenarios.saysTags',
  not_tags: 'scenarios.saysNotTags',
  languages: 'scenarios.saysLanguages',
  published_since: 'scenarios.saysSince',
  max_age_days: 'scenarios.saysAge',
  min_seconds: 'scenarios.saysMin',
  max_seconds: 'scenarios.saysMax',
  available_until: 'scenarios.saysUntil',
}

function sinceOf(value: unknown): unknown {
  return typeof value === 'number' ? new Date(value).toISOString().slice(0, 10) : String(value).slice(0, 10)
}

/** A condition in a few phrases. */
export function conditionWords(rules: Rules): string[] {
  const plain = Object.entries(CONDITIONS)
    .filter(([key]) => key in rules && !same(rules[key], []) && rules[key] !== null && rules[key] !== '')
    .map(([key, text]) => t(text, { what: words(key === 'published_since' ? sinceOf(rules[key]) : rules[key]) }))
  const attributes = Object.entries((rules['attributes'] ?? {}) as Rules).map(
    ([name, wanted]) => `${name}: ${words(wanted)}`,
  )
  return [...plain, ...attributes]
}

function boostWords(rules: Rules): string {
  const { multiply = 1, add = 0 } = rules as { multiply?: number; add?: number }
  const what = conditionWords(rules).join(t('scenarios.comma')) || t('scenarios.everything')
  const times = multiply === 1 ? '' : `×${number(multiply, 2)}`
  const plus = add ? `${add > 0 ? '+' : '−'}${number(Math.abs(add), 2)}` : ''
  return t('scenarios.saysBoost', { what, by: [times, plus].filter(Boolean).join(' ') || '×1' })
}

function sourceWords(weights: Partial<Record<Source, number>>): string {
  const asked = SOURCES.filter((one) => weights[one] !== undefined)
  return t('scenarios.saysSources', {
    what: asked.map((one) => `${t(NAMES[one])} ${number(weights[one] ?? 0, 2)}`).join(t('scenarios.comma')),
  })
}

const PHRASES: Record<string, (value: unknown) => string[]> = {
  sources: (value) => [sourceWords(value as Partial<Record<Source, number>>)],
  rank_by: () => [t('scenarios.saysRankBy')],
  ranker: () => [t('scenarios.saysNoRanker')],
  filter: (value) => conditionWords(value as Rules).map((what) => t('scenarios.saysOnly', { what })),
  exclude_seen: () => [t('scenarios.saysSeen')],
  boosts: (value) => (value as Rules[]).map(boostWords),
  pins: (value) =>
    Object.entries(value as Record<string, string>).map(([place, item]) =>
      t('scenarios.saysPin', { place: Number(place) + 1, item }),
    ),
  caps: (value) =>
    Object.entries(value as Record<string, number>).map(([name, most]) =>
      t('scenarios.saysCap', { most, name: name === 'category' ? t('scenarios.category') : name }),
    ),
  diversity: (value) => [t('scenarios.saysDiversity', { share: percent(value as number) })],
  fresh_share: (value) => [t('scenarios.saysFresh', { share: percent(value as number) })],
  exploration: (value) => [t('scenarios.saysExploration', { share: percent(value as number, 1) })],
  max_items: (value) => [t('scenarios.saysMost', { n: value as number })],
  attribution_hours: (value) => [t('scenarios.saysHours', { n: value as number })],
}

/** One key in phrases; nothing where it is as usual. */
export function keyWords(key: string, value: unknown): string[] {
  if (value === undefined || value === null || same(value, USUAL[key])) return []
  return PHRASES[key]?.(value) ?? []
}

/** Rules in a few phrases a product person reads; nothing where all is as usual. */
export function ruleWords(rules: Rules, keys: readonly string[] = Object.keys(PHRASES)): string[] {
  return keys.flatMap((key) => keyWords(key, rules[key]))
}

/** A variant's rules in phrases: what it takes back is said, too. */
export function variantWords(rules: Rules): string[] {
  return Object.entries(rules).flatMap(([key, value]) => {
    if (!(key in PHRASES)) return []
    const said = keyWords(key, value)
    return said.length ? said : [t('scenarios.saysUsual', { what: t(KEYS[key] ?? 'scenarios.rules') })]
  })
}

/** What each key is called. */
export const KEYS: Record<string, Key> = {
  sources: 'scenarios.sources',
  rank_by: 'scenarios.rankBy',
  ranker: 'scenarios.ranker',
  filter: 'scenarios.filter',
  exclude_seen: 'scenarios.excludeSeen',
  boosts: 'scenarios.boosts',
  pins: 'scenarios.pins',
  caps: 'scenarios.caps',
  diversity: 'scenarios.diversity',
  fresh_share: 'scenarios.freshShare',
  exploration: 'scenarios.exploration',
  max_items: 'scenarios.maxItems',
}
