import { match, search, type PageName, type Place, type Query } from './match'

export { href, type PageName, type Query } from './match'

/** Where the reader is. Everything a page shows that is worth a link is in the address: path and query. */
class Router {
  #url = $state.raw(new URL(globalThis.location.href))
  /** Rises with every change of page, not of the query. */
  visits = $state(0)

  get path(): string {
    return this.#url.pathname
  }

  get place(): Place | null {
    return match(this.#url.pathname)
  }

  get page(): PageName | null {
    return this.place?.page ?? null
  }

  /** The id in the path, '' where it is left out. */
  get id(): string {
    return this.place?.id ?? ''
  }

  get query(): URLSearchParams {
    return this.#url.searchParams
  }

  /** Follow links of this origin, and the browser's buttons. Returns how to stop. */
  start(): () => void {
    const control = new AbortController()
    const { signal } = control
    globalThis.history.scrollRestoration = 'auto'
    globalThis.addEventListener('popstate', () => this.#arrive(), { signal })
    document.addEventListener('click', (event) => this.#follow(event), { signal })
    return () => control.abort()
  }

  go(address: string, options: { replace?: boolean } = {}): void {
    const from = this.#url.pathname
    globalThis.history[options.replace ? 'replaceState' : 'pushState'](null, '', address)
    this.#arrive()
    if (this.#url.pathname !== from) globalThis.scrollTo(0, 0)
  }

  /** Change parts of the query, leave the others. As you type it replaces; give `push` for a step worth going back. */
  set(changes: Query, options: { push?: boolean } = {}): void {
    const query: Query = { ...Object.fromEntries(this.query), ...changes }
    const address = this.path + search(query)
    if (address !== this.path + this.#url.search) this.go(address, { replace: !options.push })
  }

  #arrive(): void {
    const next = new URL(globalThis.location.href)
    const moved = next.pathname !== this.#url.pathname
    this.#url = next
    if (moved) this.visits += 1
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element | null)?.closest('a')
    if (!link || link.target || link.hasAttribute('download')) return
    const to = new URL(link.href, globalThis.location.href)
    if (to.origin !== globalThis.location.origin || !match(to.pathname)) return
    if (to.hash && to.pathname === this.path) return
    event.preventDefault()
    this.go(to.pathname + to.search)
  }
}

export const router = new Router()
