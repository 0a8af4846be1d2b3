import { t, type Key } from '$lib/i18n/i18n.svelte'
import type { Happening } from './timeline'

const STAGES: Record<string, Key> = {
  filter: 'user.stageFilter',
  pin: 'user.stagePin',
  merge: 'user.stageMerge',
  rank: 'user.stageRank',
  modalities: 'user.stageModalities',
  boost: 'user.stageBoost',
  copies: 'user.stageCopies',
  rerank: 'user.stageRerank',
  explore: 'user.stageExplore',
  explain: 'user.stageExplain',
}
const SOURCES: Record<string, Key> = {
  flm: 'user.sourceFlm',
  memory: 'user.sourceMemory',
  content: 'user.sourceContent',
  popularity: 'user.sourcePopularity',
  fresh: 'user.sourceFresh',
  segment: 'user.sourceSegment',
  lifted: 'user.sourceLifted',
  pinned: 'user.sourcePinned',
}
const GONE: Record<string, Key> = {
  seen: 'user.goneSeen',
  hidden: 'user.goneHidden',
  unpublished: 'user.goneUnpublished',
  excluded: 'user.goneExcluded',
  'not proposed': 'user.goneNotProposed',
  'proposed by several': 'user.goneSeveral',
  'below the slate': 'user.goneBelow',
  pinned: 'user.gonePinned',
  'copies of what was shown': 'user.goneCopiesShown',
  'copies of one above': 'user.goneCopiesAbove',
}
const COLOURS: Record<string, string> = {
  flm: 'var(--c-model)',
  memory: 'var(--c-memory)',
  content: 'var(--c-text)',
  popularity: 'var(--c-popularity)',
  fresh: 'var(--c-words)',
  segment: 'var(--c-segment)',
}

/** What the service names in its own words stays as it is. */
const named = (table: Record<string, Key>, name: string): string => {
  const key = table[name]
  return key ? t(key) : name
}

export const sourceName = (source: string): string => named(SOURCES, source)
export const sourceColour = (source: string): string => COLOURS[source] ?? 'var(--accent)'
export const goneName = (reason: string): string => named(GONE, reason)
export const stageName = (stage: string, source: string | null): string =>
  source === null ? named(STAGES, stage) : t('user.stageRetrieve', { source: sourceName(source) })

const KINDS: Record<Happening['kind'], Key> = {
  impression: 'user.kindImpression',
  click: 'user.kindClick',
  watch: 'user.kindWatch',
  like: 'user.kindLike',
  dislike: 'user.kindDislike',
  share: 'user.kindShare',
  comment: 'user.kindComment',
  follow: 'user.kindFollow',
  skip: 'user.kindSkip',
  rating: 'user.kindRating',
  purchase: 'user.kindPurchase',
}
export const kindName = (kind: Happening['kind']): string => t(KINDS[kind])
