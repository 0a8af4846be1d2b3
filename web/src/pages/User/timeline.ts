import type { Schema } from '$lib/api/client'

export type Happening = Schema<'HistoryEvent'>

/** What somebody did with one clip in one go. */
export interface Visit {
  key: string
  itemId: string
  title: string
  /** The newest first, as the service gives them. */
  events: Happening[]
  /** Of the last thing done. */
  timestampMs: number
  watchMs: number
  /** The first visit of a day, from the top. */
  opensDay: boolean
}

const SAME_VISIT_MS = 30 * 60_000

const dayOf = (moment: number): string => new Date(moment).toDateString()

/** Events, newest first, joined to visits: watching, liking and clicking one clip in a row is one entry. */
export function visitsOf(events: readonly Happening[]): Visit[] {
  const visits: Visit[] = []
  for (const event of events) {
    const last = visits.at(-1)
    const end = last?.events.at(-1)
    if (last && end && belongs(event, end)) {
      last.events.push(event)
      last.watchMs += event.watch_ms ?? 0
      continue
    }
    visits.push({
      key: `${visits.length}-${event.item_id}`,
      itemId: event.item_id,
      title: event.title,
      events: [event],
      timestampMs: event.timestamp_ms,
      watchMs: event.watch_ms ?? 0,
      opensDay: !last || dayOf(last.timestampMs) !== dayOf(event.timestamp_ms),
    })
  }
  return visits
}

function belongs(event: Happening, end: Happening): boolean {
  return (
    event.item_id === end.item_id &&
    event.recommendation_id === end.recommendation_id &&
    end.timestamp_ms - event.timestamp_ms <= SAME_VISIT_MS
  )
}

/** Kinds of a visit, each once, the one that tells most first. */
export function kindsOf(visit: Visit): { kind: Happening['kind']; times: number }[] {
  const times = new Map<Happening['kind'], number>()
  for (const event of visit.events) times.set(event.kind, (times.get(event.kind) ?? 0) + 1)
  return [...times]
    .map(([kind, count]) => ({ kind, times: count }))
    .sort((one, other) => WEIGHT.indexOf(one.kind) - WEIGHT.indexOf(other.kind))
}

const WEIGHT: Happening['kind'][] = [
  'purchase',
  'rating',
  'like',
  'dislike',
  'share',
  'comment',
  'follow',
  'watch',
  'skip',
  'click',
  'impression',
]
