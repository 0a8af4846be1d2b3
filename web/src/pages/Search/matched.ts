import type { Schema } from '$lib/api/client'
import { t, translator, type Key } from '$lib/i18n/i18n.svelte'
import { colourOfKind } from '$lib/spectrum'
import { nameOf } from '$lib/why'

type Hit = Pick<Schema<'SearchHit'>, 'parts' | 'evidence'>

/** See `kinema.recommend.search.SearchItem.evidence`. */
interface Evidence {
  words?: Record<string, { word: string; spelling: string; field: string }>
  cosine?: Record<string, number>
  copies?: string[]
  named?: boolean
  reread?: number
  first_position?: number
}

export interface Part {
  kind: string
  name: string
  colour: string
  /** Added to the score; may be negative. */
  points: number
  /** Of all that was added, 0 to 1. */
  share: number
  cosine: number | null
}

export interface Matched {
  sentence: string
  /** The largest first. */
  parts: Part[]
  /** Shares for a bar: parts of one colour are one. */
  bar: { name: string; share: number; colour: string }[]
  /** Remarks that are no reasons: spellings, copies, a second reading. */
  notes: string[]
}

const LEAST_SHARE = 0.12
const MOST_REASONS = 3
const FIELDS: Record<string, Key> = {
  title: 'search.inTitle',
  tags: 'search.inTags',
  description: 'search.inDescription',
  transcript: 'search.inTranscript',
}
const SAID: Record<string, Key> = {
  text: 'search.byText',
  match: 'search.byMatch',
  transcript: 'search.byTranscript',
  look: 'search.byLook',
  projection: 'search.byLook',
  class_names: 'search.byClasses',
  visual: 'search.hasMoment',
  motion: 'search.movesLike',
  sound: 'search.soundsLike',
  taste: 'search.byTaste',
}
/** Parts that only searches have -> what of the spectrum they are. */
const OWN: Record<string, { name: Key; kind: string }> = {
  match: { name: 'search.partMatch', kind: 'text' },
  look: { name: 'search.partLook', kind: 'frames' },
  projection: { name: 'search.partLook', kind: 'frames' },
  class_names: { name: 'search.partClasses', kind: 'frames' },
  taste: { name: 'search.partTaste', kind: 'model' },
}

const kindOf = (part: string) => OWN[part]?.kind ?? part

/**
 * Why an item is in the answer, in the reader's language.
 *
 * @param hit As the service found it.
 * @param likened What was searched with besides words.
 * @param viewer Whose taste counts.
 */
export function matched(hit: Hit, likened: 'image' | 'clip' | null, viewer: string): Matched {
  const evidence = hit.evidence as Evidence
  const parts = partsOf(hit.parts, evidence)
  const strong = parts.filter((part) => part.share >= LEAST_SHARE).slice(0, MOST_REASONS)
  const said = strong.flatMap((part) => phrase(part.kind, evidence, likened, viewer) ?? [])
  const named = evidence.named ? [t('search.named')] : []
  const gap = translator.language === 'zh' ? '；' : '; '
  return {
    sentence: capital([...named, ...new Set(said)].join(gap) || t('search.nearest')),
    parts,
    bar: barOf(parts),
    notes: notesOf(evidence),
  }
}

function partsOf(points: Hit['parts'], evidence: Evidence): Part[] {
  const total = Object.values(points).reduce((sum, one) => sum + Math.max(0, one), 0)
  return Object.entries(points)
    .filter(([, one]) => one !== 0)
    .map(([kind, one]) => ({
      kind,
      name: OWN[kind] ? t(OWN[kind].name) : nameOf(kind),
      colour: colourOfKind(kindOf(kind)),
      points: one,
      share: total ? Math.max(0, one) / total : 0,
      cosine: evidence.cosine?.[kind] ?? null,
    }))
    .sort((one, other) => other.points - one.points)
}

function barOf(parts: Part[]): Matched['bar'] {
  const shares = new Map<string, { name: string; share: number; colour: string }>()
  for (const { kind, colour, share } of parts.filter((one) => one.share > 0)) {
    const whole = kindOf(kind)
    const there = shares.get(whole)
    if (there) there.share += share
    else shares.set(whole, { name: kind === 'taste' ? t('search.partTaste') : nameOf(whole), share, colour })
  }
  return [...shares.values()].sort((one, other) => other.share - one.share)
}

function phrase(kind: string, evidence: Evidence, likened: 'image' | 'clip' | null, viewer: string): string | null {
  if (kind === 'words') return wordsOf(evidence)
  if (kind === 'frames') return t(likened === 'clip' ? 'search.looksLikeClip' : 'search.looksLikeImage')
  const key = SAID[kind]
  return key ? t(key, { viewer }) : null
}

/** Such as: “otters” in the title, “river” in the tags. */
function wordsOf(evidence: Evidence): string | null {
  const fields = new Map<string, string[]>()
  for (const { word, field } of Object.values(evidence.words ?? {})) {
    const quoted = `“${word}”`
    const there = fields.get(field) ?? []
    if (!there.includes(quoted)) fields.set(field, [...there, quoted])
  }
  const [comma, gap] = translator.language === 'zh' ? ['、', '，'] : [' and ', ', ']
  const told = [...fields].map(([field, words]) =>
    t(FIELDS[field] ?? 'search.inDescription', { words: words.join(comma) }),
  )
  return told.join(gap) || null
}

function notesOf(evidence: Evidence): string[] {
  const typos = Object.entries(evidence.words ?? {}).filter(([, one]) => one.spelling === 'typo')
  return [
    ...typos.map(([asked, { word }]) => t('search.typo', { asked, word })),
    ...(evidence.copies?.length ? [t('search.copies', { n: evidence.copies.length })] : []),
    ...(evidence.first_position === undefined ? [] : [t('search.reread', { place: evidence.first_position + 1 })]),
  ]
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
