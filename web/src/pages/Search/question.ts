import type { Query } from '$lib/router/router.svelte'

export const PAGE = 24
const MOST = 240
const DAY_MS = 86_400_000
const SECOND_MS = 1000

/** What is searched for, as it stands in the address. */
export interface Question {
  q: string
  categories: string[]
  language: string
  /** Seconds; null where it does not matter. */
  least: number | null
  most: number | null
  /** '7', '30', '365' days back, or a day as 2026-01-31; '' for any time. */
  since: string
  /** Whose taste counts; '' for nobody's. */
  viewer: string
  /** How many clips. */
  n: number
}

/** Names in one text: commas part them, a backslash stands before a comma that does not. */
export function joinNames(names: readonly string[]): string {
  return names.map((name) => name.replace(/[\\,]/g, '\\$&')).join(',')
}

export function splitNames(text: string): string[] {
  return (text.match(/(?:\\.|[^,\\])+/g) ?? []).map((name) => name.replace(/\\(.)/g, '$1'))
}

function positive(text: string | null): number | null {
  const value = Number(text)
  return text && Number.isFinite(value) && value > 0 ? value : null
}

export function readQuestion(query: URLSearchParams): Question {
  const since = query.get('since') ?? ''
  return {
    q: query.get('q') ?? '',
    categories: splitNames(query.get('category') ?? ''),
    language: query.get('language') ?? '',
    least: positive(query.get('least')),
    most: positive(query.get('most')),
    since: sinceMs(since) === null ? '' : since,
    viewer: query.get('viewer') ?? '',
    n: Math.min(MOST, Math.max(PAGE, Math.round(positive(query.get('n')) ?? PAGE))),
  }
}

/** The filters that are set, each with what takes it away again. */
export function filtersOf(
  asked: Question,
): { kind: 'category' | 'language' | 'length' | 'since'; name: string; without: Query }[] {
  return [
    ...asked.categories.map((name) => ({
      kind: 'category' as const,
      name,
      without: { category: joinNames(asked.categories.filter((one) => one !== name)) },
    })),
    ...(asked.language ? [{ kind: 'language' as const, name: asked.language, without: { language: null } }] : []),
    ...(asked.least !== null || asked.most !== null
      ? [{ kind: 'length' as const, name: '', without: { least: null, most: null } }]
      : []),
    ...(asked.since ? [{ kind: 'since' as const, name: asked.since, without: { since: null } }] : []),
  ]
}

/** The moment that `since` means; null for any time. */
export function sinceMs(since: string, now = Date.now()): number | null {
  if (/^\d{1,4}$/.test(since)) return now - Number(since) * DAY_MS
  if (!/^\d{4}-\d\d-\d\d$/.test(since)) return null
  const day = Date.parse(since)
  return Number.isNaN(day) ? null : day
}

/** As the service wants it in an address. */
export function asked(question: Question, now = Date.now()) {
  const since = sinceMs(question.since, now)
  return {
    q: question.q,
    n: question.n,
    ...(question.viewer ? { user_id: question.viewer } : {}),
    ...(question.categories.length ? { category: question.categories } : {}),
    ...(question.language ? { language: [question.language] } : {}),
    ...(question.least === null ? {} : { min_duration_ms: Math.round(question.least * SECOND_MS) }),
    ...(question.most === null ? {} : { max_duration_ms: Math.round(question.most * SECOND_MS) }),
    ...(since === null ? {} : { published_since: Math.max(0, since) }),
  }
}

/** The same as a form, with a picture or a clip. */
export function asForm(question: Question, kind: 'image' | 'clip', file: File, now = Date.now()): FormData {
  const form = new FormData()
  form.append(kind, file, file.name || kind)
  for (const [name, value] of Object.entries(asked(question, now))) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, String(one))
  }
  return form
}

/** What a file can be searched with as; null where it is neither. */
export function kindOf(file: { type: string; name: string }): 'image' | 'clip' | null {
  if (file.type.startsWith('image/')) return 'image'
  if (file.type.startsWith('video/')) return 'clip'
  if (/\.(mp4|avi|flv|mkv|webm|mov|mpe?g|ts|wmv|ogv)$/i.test(file.name)) return 'clip'
  return /\.(jpe?g|png|webp|bmp|gif|tiff?)$/i.test(file.name) ? 'image' : null
}
