/** The pages by name, and where they are. `:id?` is a part that may be left out. */
export const PATHS = {
  forYou: '/',
  search: '/search',
  item: '/items/:id?',
  user: '/users/:id?',
  catalogue: '/catalogue',
  scenarios: '/scenarios/:id?',
  model: '/models',
  health: '/status', // `/health` is the service's own
} as const

export type PageName = keyof typeof PATHS
export type Query = Record<string, string | number | boolean | null | undefined>

export interface Place {
  page: PageName
  /** Of the path, decoded; '' where it is left out. */
  id: string
}

const PAGES = Object.entries(PATHS) as [PageName, string][]

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}

/** The page of a path; null where there is none. */
export function match(path: string): Place | null {
  const parts = path.split('/').filter(Boolean)
  for (const [page, pattern] of PAGES) {
    const [first, second] = pattern.split('/').filter(Boolean)
    if ((parts[0] ?? undefined) !== first || parts.length > (second ? 2 : first ? 1 : 0)) continue
    const id = parts[1] === undefined ? '' : decoded(parts[1])
    if (id !== null) return { page, id }
  }
  return null
}

/** The query of an address: what is empty, false or nothing is left out, so that addresses stay short. */
export function search(query: Query): string {
  const kept = Object.entries(query).flatMap(([name, value]) =>
    value === null || value === undefined || value === '' || value === false
      ? []
      : [[name, value === true ? '1' : String(value)]],
  )
  const text = new URLSearchParams(kept).toString()
  return text ? `?${text}` : ''
}

/**
 * The address of a page.
 *
 * @example href('item', 'films/7', { tab: 'frames' }) // '/items/films%2F7?tab=frames'
 */
export function href(page: PageName, id = '', query: Query = {}): string {
  const base = PATHS[page].replace(/\/:id\?$/, '') || '/'
  return (id ? `${base}/${encodeURIComponent(id)}` : base) + search(query)
}
