import { ApiError, asApiError, isAborted } from './errors'

export interface Resource<T> {
  /** The last answer; kept while the next one is on its way. */
  readonly data: T | undefined
  readonly error: ApiError | null
  /** Nothing has been answered yet: show a skeleton. */
  readonly loading: boolean
  /** An answer is on its way, and an older one is there. */
  readonly refreshing: boolean
  /** Ask again. */
  refresh(): void
  /** Put an answer in without asking, after a change that tells its result. */
  set(value: T): void
}

/**
 * What a page shows of one request: asked when the component appears and whenever something reactive that `load` read
 * before its first `await` changes; an older answer never overwrites a newer one.
 *
 * @param load Asks; give the signal to the request, so that it ends with the component.
 * @param options `everyMs`: ask again after this time, not while the page is hidden.
 * @example const item = resource((signal) => ask(api.GET('/v1/items/{item_id}', { params: { path: { item_id } }, signal })))
 */
export function resource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  options: { everyMs?: number } = {},
): Resource<T> {
  let data = $state.raw<T>()
  let error = $state.raw<ApiError | null>(null)
  let pending = $state(true)
  let turn = $state(0)

  $effect(() => {
    void turn
    const control = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    pending = true
    load(control.signal)
      .then((answer) => {
        if (control.signal.aborted) return
        data = answer
        error = null
      })
      .catch((thrown: unknown) => {
        if (!control.signal.aborted && !isAborted(thrown)) error = asApiError(thrown)
      })
      .finally(() => {
        if (control.signal.aborted) return
        pending = false
        if (options.everyMs) timer = setTimeout(again, options.everyMs)
      })
    const again = () => {
      if (document.hidden) document.addEventListener('visibilitychange', again, { once: true, signal: control.signal })
      else turn += 1
    }
    return () => {
      control.abort()
      clearTimeout(timer)
    }
  })

  return {
    get data() {
      return data
    },
    get error() {
      return error
    },
    get loading() {
      return pending && data === undefined
    },
    get refreshing() {
      return pending && data !== undefined
    },
    refresh: () => {
      turn += 1
    },
    set: (value: T) => {
      data = value
      error = null
    },
  }
}
