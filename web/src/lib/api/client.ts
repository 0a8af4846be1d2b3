import createClient, { type Middleware } from 'openapi-fetch'
import { connection } from '$lib/state/connection.svelte'
import { ApiError, asApiError, errorOf, isAborted } from './errors'
import type { components, paths } from './schema'

/** A model of the API by its name in the OpenAPI document: `Schema<'ItemOut'>`. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name]

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])
const unauthorized = new Set<() => void>()

/** Told when an answer says that no session is there (any more). */
export function onUnauthorized(listener: () => void): () => void {
  unauthorized.add(listener)
  return () => unauthorized.delete(listener)
}

/** Marks requests that change something as the console's own, so that another site's form cannot make them. */
export function consoleHeaders(method: string): Record<string, string> {
  return SAFE.has(method.toUpperCase()) ? {} : { 'X-Kinema-Console': '1' }
}

async function checked(response: Response): Promise<Response> {
  connection.answered()
  if (response.ok) return response
  if (response.status === 401) unauthorized.forEach((tell) => tell())
  throw await errorOf(response)
}

function failed(thrown: unknown): Error {
  if (isAborted(thrown)) return thrown as DOMException
  const error = asApiError(thrown)
  if (error.isOffline) connection.missed()
  return error
}

const ours: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(consoleHeaders(request.method))) request.headers.set(name, value)
    return request
  },
  onResponse: ({ response }) => checked(response),
  onError: ({ error }) => failed(error),
}

/** The typed client: paths, parameters and answers as in the OpenAPI document. Wrap a call in `ask`. */
export const api = createClient<paths>({
  baseUrl: globalThis.location.origin,
  credentials: 'same-origin',
  fetch: (request: Request) => globalThis.fetch(request),
})
api.use(ours)

/**
 * The answer itself, or an `ApiError`.
 *
 * @example const item = await ask(api.GET('/v1/items/{item_id}', { params: { path: { item_id } }, signal }))
 */
export async function ask<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data } = await call
  return data as T
}

/** What the typed client cannot do: files with progress aside, everything else (bodies as they are, other types). */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  for (const [name, value] of Object.entries(consoleHeaders(init.method ?? 'GET'))) headers.set(name, value)
  try {
    return await checked(await globalThis.fetch(path, { credentials: 'same-origin', ...init, headers }))
  } catch (thrown) {
    throw failed(thrown)
  }
}

/** Send a file with progress (0 to 1); fetch cannot tell how far an upload has come. */
export function upload<T>(
  path: string,
  body: FormData,
  onprogress: (share: number) => void,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest()
    sent.open('POST', path)
    for (const [name, value] of Object.entries(consoleHeaders('POST'))) sent.setRequestHeader(name, value)
    sent.upload.onprogress = (event) => {
      if (event.lengthComputable) onprogress(event.loaded / event.total)
    }
    signal?.addEventListener('abort', () => sent.abort(), { once: true })
    sent.onabort = () => reject(new DOMException('given up', 'AbortError'))
    sent.onerror = () => reject(failed(new TypeError('no answer')))
    sent.onload = () => {
      const answer = new Response(sent.responseText, { status: sent.status, statusText: sent.statusText })
      checked(answer)
        .then((good) => good.json() as Promise<T>)
        .then(resolve)
        .catch((thrown: unknown) => reject(thrown instanceof Error ? thrown : new ApiError(0, 'unexpected', 'upload')))
    }
    sent.send(body)
  })
}
