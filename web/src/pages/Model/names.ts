import { t, type Key } from '$lib/i18n/i18n.svelte'

const NAMES: Record<string, Key> = {
  fused: 'model.fused',
  sequential: 'model.sequential',
  collaborative: 'model.collaborative',
  content: 'model.content',
  imputed_memory: 'model.imputedMemory',
  with_memory: 'model.withMemory',
  popularity: 'model.popularity',
  items: 'model.items',
  users: 'model.users',
  interactions: 'model.interactions',
  coverage: 'model.coverage',
  gini: 'model.gini',
  novelty: 'model.novelty',
  diversity: 'model.diversity',
  warm: 'model.warm',
  cold: 'model.cold',
}

/** What a branch, a loss, a count or a measure is called; its own name where it is the project's. */
export function named(name: string): string {
  const key = NAMES[name]
  return key ? t(key) : name.replaceAll('_', ' ')
}

const METRICS: Record<string, Key> = {
  ndcg: 'model.metricNdcg',
  recall: 'model.metricRecall',
  mrr: 'model.metricMrr',
  hit_rate: 'model.metricHit',
}

/** What a measure says, for those who do not know its name. */
export function metricMeaning(metric: string): string {
  const [kind = '', k = ''] = metric.split('@')
  const key = METRICS[kind]
  return key ? t(key, { k }) : ''
}
