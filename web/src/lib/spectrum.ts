import type { Key } from './i18n/i18n.svelte'

/** What can speak for an item, with its name and its colour on every page. */
export type Kind =
  | 'text'
  | 'frames'
  | 'visual'
  | 'motion'
  | 'sound'
  | 'transcript'
  | 'memory'
  | 'popularity'
  | 'segment'
  | 'model'
  | 'profile'
  | 'words'

const COLOURS: Record<Kind, string> = {
  text: 'var(--c-text)',
  frames: 'var(--c-frames)',
  visual: 'var(--c-frames)',
  motion: 'var(--c-motion)',
  sound: 'var(--c-sound)',
  transcript: 'var(--c-transcript)',
  memory: 'var(--c-memory)',
  popularity: 'var(--c-popularity)',
  segment: 'var(--c-segment)',
  model: 'var(--c-model)',
  profile: 'var(--c-model)',
  words: 'var(--c-words)',
}

export const isKind = (name: string): name is Kind => name in COLOURS

/** A project may have modalities of its own: they are grey. */
export const colourOfKind = (name: string): string => (isKind(name) ? COLOURS[name] : 'var(--c-popularity)')

/** The text that names it; null for one of the project's own. */
export const nameOfKind = (name: string): Key | null => (isKind(name) ? `why.${name}` : null)

/** A colour for the n-th category of a page. */
export const categoryColour = (place: number): string => `var(--k${(((place % 8) + 8) % 8) + 1})`
