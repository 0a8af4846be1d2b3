/** Places gained (positive) or lost; `new` for what was not in the list before. */
export type Move = number | 'new'

export interface Change {
  moves: Map<string, Move>
  /** Clips that stand elsewhere than before. */
  moved: number
  /** Clips that were not there before. */
  fresh: number
}

/** What happened to a list: by how many places each of its clips has moved. */
export function compare(before: readonly string[], after: readonly string[]): Change {
  const places = new Map(before.map((id, place) => [id, place]))
  const moves = new Map<string, Move>()
  after.forEach((id, place) => {
    const was = places.get(id)
    moves.set(id, was === undefined ? 'new' : was - place)
  })
  const all = [...moves.values()]
  return {
    moves,
    moved: all.filter((move) => move !== 'new' && move !== 0).length,
    fresh: all.filter((move) => move === 'new').length,
  }
}

/** A feed after a new answer: what was shown stays where it is, everything after it is the answer's. */
export function splice<Clip extends { id: string }>(
  clips: readonly Clip[],
  at: number,
  answer: readonly Clip[],
): Clip[] {
  const shown = clips.slice(0, at + 1)
  const there = new Set(shown.map((clip) => clip.id))
  return [...shown, ...answer.filter((clip) => !there.has(clip.id))]
}

/** A feed in which one of the clips that follow comes next. */
export function bringNext<Clip extends { id: string }>(clips: readonly Clip[], at: number, id: string): Clip[] {
  const place = clips.findIndex((clip) => clip.id === id)
  const chosen = clips[place]
  if (!chosen || place <= at) return [...clips]
  const rest = clips.filter((clip) => clip.id !== id)
  return [...rest.slice(0, at + 1), chosen, ...rest.slice(at + 1)]
}

export interface Share {
  name: string
  share: number
}

/** How much of a list each topic has, the largest first; what has no topic is left out. */
export function topicShares(topics: readonly (string | undefined)[]): Share[] {
  const named = topics.filter((topic): topic is string => Boolean(topic))
  const counts = new Map<string, number>()
  for (const name of named) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .map(([name, count]) => ({ name, share: count / named.length }))
    .sort((one, other) => other.share - one.share || one.name.localeCompare(other.name))
}
