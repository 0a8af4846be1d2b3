import type { Schema } from '$lib/api/client'
import type { paths } from '$lib/api/schema'
import type { Query } from '$lib/router/match'
import { readSort, type Sort } from '$lib/ui/table'

export type Row = Schema<'CatalogueRow'>
type Asked = NonNullable<paths['/v1/catalogue']['get']['parameters']['query']>
export type State = NonNullable<Asked['state']>[number]

export const STATES: State[] = [
  'recommendable',
  'hidden',
  'scheduled',
  'cold',
  'warm',
  'with_media',
  'without_media',
  'placed',
]
const SORTS = ['added', 'id', 'title', 'category', 'published', 'duration', 'events', 'popularity'] as const
type SortKey = (typeof SORTS)[number]
export const AS_ADDED: Sort = { key: 'added', down: true }

/** Lengths one may ask for: from, to, milliseconds. */
export const LENGTHS: Record<string, [number | null, number | null]> = {
  short: [null, 10_000],
  medium: [10_000, 60_000],
  long: [60_000, 600_000],
  film: [600_000, null],
}
/** Ages one may ask for, days. */
export const AGES: Record<string, number> = { day: 1, week: 7, month: 30, year: 365 }

export interface Filters {
  q: string
  categories: string[]
  languages: string[]
  states: State[]
  length: string
  age: string
  sort: Sort
}

const many = (text: string | null): string[] =>
  (text ?? '')
    .split(',')
    .filter(Boolean)
    .map((part) => {
      try {
        return decodeURIComponent(part)
      } catch {
        return part
      }
    })

/** Several values in one part of an address; a comma inside a value is kept apart from one between two. */
export const joined = (values: readonly string[]): string => values.map(encodeURIComponent).join(',')

/** What an address asks for; what makes no sense is left out. */
export function readFilters(query: URLSearchParams): Filters {
  const sort = readSort(query.get('sort'), AS_ADDED)
  const [length, age] = [query.get('length') ?? '', query.get('age') ?? '']
  return {
    q: query.get('q') ?? '',
    categories: many(query.get('category')),
    languages: many(query.get('language')),
    states: many(query.get('state')).filter((one): one is State => (STATES as string[]).includes(one)),
    length: length in LENGTHS ? length : '',
    age: age in AGES ? age : '',
    sort: (SORTS as readonly string[]).includes(sort.key) ? sort : AS_ADDED,
  }
}

/** Whether anything narrows the catalogue. */
export const isNarrow = (filters: Filters): boolean =>
  Boolean(filters.q || filters.length || filters.age) ||
  [filters.categories, filters.languages, filters.states].some((values) => values.length > 0)

export const NO_FILTERS: Query = { q: null, category: null, language: null, state: null, length: null, age: null }

/** As the service is asked. */
export function askedOf(filters: Filters, offset: number, limit: number, now = Date.now()): Asked {
  const [least, most] = LENGTHS[filters.length] ?? [null, null]
  const days = AGES[filters.age]
  return {
    q: filters.q || undefined,
    category: filters.categories.length ? filters.categories : undefined,
    language: filters.languages.length ? filters.languages : undefined,
    state: filters.states.length ? filters.states : undefined,
    min_duration_ms: least ?? undefined,
    max_duration_ms: most ?? undefined,
    published_since: days === undefined ? undefined : now - days * 86_400_000,
    sort: filters.sort.key as SortKey,
    descending: filters.sort.down,
    offset,
    limit,
  }
}
