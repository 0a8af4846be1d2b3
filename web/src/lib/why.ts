import { number } from './format'
import { parts, t, type Key } from './i18n/i18n.svelte'
import { colourOfKind, nameOfKind } from './spectrum'

/** What the service says of a reason; see `kinema.recommend.explain.Reason`. */
export interface Evidence {
  kind: string
  strength?: number
  modality?: string
  cosine?: number
  item?: string
  title?: string
  rank?: number
  out_of?: number
  days_old?: number
  also?: Record<string, number>
}

export interface Why {
  /** The sentence before and after the name of the nearest clip. */
  before: string
  after: string
  /** The clip somebody watched that this one is near to. */
  nearest: { id: string; title: string } | null
  /** What speaks for it, the strongest first; shares sum to 1. */
  shares: { kind: string; name: string; share: number; colour: string; strength: number }[]
  cosine: number | null
  daysOld: number | null
}

const LIKE: Record<string, Key> = {
  text: 'why.likeText',
  frames: 'why.likeFrames',
  visual: 'why.likeVisual',
  motion: 'why.likeMotion',
  sound: 'why.likeSound',
  transcript: 'why.likeTranscript',
}
const PLAIN: Record<string, Key> = {
  popularity: 'why.byPopularity',
  segment: 'why.bySegment',
  profile: 'why.byProfile',
  model: 'why.byModel',
  fresh: 'why.byFresh',
  rest: 'why.byRest',
  pinned: 'why.byPinned',
}

export const nameOf = (kind: string): string => {
  const key = nameOfKind(kind)
  return key ? t(key) : kind
}

/** A reason in the reader's language, with what backs it. Kinds that are not known keep the service's own words. */
export function why(evidence: Evidence | null | undefined, reason: string | null | undefined): Why {
  const own = { before: capital(reason ?? ''), after: '' }
  if (!evidence) return { ...own, nearest: null, shares: [], cosine: null, daysOld: null }
  // What somebody has pinned is not there because of a clip.
  const nearest =
    evidence.item && evidence.kind !== 'pinned' ? { id: evidence.item, title: evidence.title || evidence.item } : null
  return {
    ...(sentence(evidence, nearest !== null) ?? own),
    nearest,
    shares: shares(evidence),
    cosine: evidence.cosine ?? null,
    daysOld: evidence.days_old ?? null,
  }
}

function sentence(evidence: Evidence, isNear: boolean): { before: string; after: string } | null {
  if (isNear && (evidence.kind === 'content' || evidence.kind === 'memory')) {
    const like = LIKE[evidence.modality ?? ''] ?? 'why.likeOther'
    const [before, after] = parts(evidence.kind === 'memory' ? 'why.byMemory' : like, 'title')
    return { before, after }
  }
  const key = PLAIN[evidence.kind]
  if (!key) return null
  return { before: t(key, { rank: number(evidence.rank ?? 0), outOf: number(evidence.out_of ?? 0) }), after: '' }
}

/** Strengths are deviations over the catalogue; their squares add up as evidence does. */
function shares(evidence: Evidence): Why['shares'] {
  const first = evidence.modality ?? evidence.kind
  const all = Object.entries({ ...evidence.also, ...(evidence.strength ? { [first]: evidence.strength } : {}) })
  const total = all.reduce((sum, [, strength]) => sum + strength ** 2, 0)
  return all
    .map(([kind, strength]) => ({
      kind,
      name: nameOf(kind),
      colour: colourOfKind(kind),
      strength,
      share: total ? strength ** 2 / total : 0,
    }))
    .sort((one, other) => other.share - one.share)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
