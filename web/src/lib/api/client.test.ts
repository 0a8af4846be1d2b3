import { afterEach, describe, expect, it, vi } from 'vitest'
import { connection } from '$lib/state/connection.svelte'
import { api, ask, onUnauthorized, request } from './client'
import { ApiError } from './errors'

const json = (status: number, body: unknown) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } })

function answering(answer: (asked: Request) => Response | Promise<Response>) {
  const fetched = vi.fn((input: RequestInfo | URL, init?: RequestInit) =>
    Promise.resolve().then(() =>
      answer(input instanceof Request ? input : new Request(new URL(String(input), location.origin), init)),
    ),
  )
  vi.stubGlobal('fetch', fetched)
  return fetched
}

afterEach(() => {
  vi.unstubAllGlobals()
  connection.answered()
})

describe('the client', () => {
  it('gives the answer itself', async () => {
    answering(() => json(200, { user_id: 'ann', attributes: {} }))
    const user = await ask(api.GET('/v1/users/{user_id}', { params: { path: { user_id: 'a/b' } } }))
    expect(user.user_id).toBe('ann')
  })

  it('encodes ids, and marks only what changes something', async () => {
    const asked: Request[] = []
    answering((one) => {
      asked.push(one)
      return json(200, {})
    })
    await ask(api.GET('/v1/items/{item_id}', { params: { path: { item_id: 'films/7' } } }))
    await ask(api.DELETE('/v1/items/{item_id}', { params: { path: { item_id: 'a' } } }))
    await request('/v1/session', { method: 'DELETE' })
    expect(asked.map((one) => new URL(one.url).pathname)).toEqual(['/v1/items/films%2F7', '/v1/items/a', '/v1/session'])
    expect(asked.map((one) => one.headers.get('X-Kinema-Console'))).toEqual([null, '1', '1'])
  })

  it('throws errors of the service as ApiError', async () => {
    answering(() => json(404, { error: { code: 'not_found', message: "unknown item 'x'", field: 'item_id' } }))
    const asked = ask(api.GET('/v1/items/{item_id}', { params: { path: { item_id: 'x' } } }))
    await expect(asked).rejects.toMatchObject({ name: 'ApiError', status: 404, field: 'item_id' })
  })

  it('tells that nobody is signed in any more', async () => {
    answering(() => json(401, { error: { code: 'unauthorized', message: 'a key is needed', field: null } }))
    const told = vi.fn()
    const stop = onUnauthorized(told)
    await expect(request('/v1/users')).rejects.toBeInstanceOf(ApiError)
    stop()
    expect(told).toHaveBeenCalledOnce()
  })

  it('knows that the service is away, and that it is back', async () => {
    answering(() => {
      throw new TypeError('Failed to fetch')
    })
    await expect(ask(api.GET('/v1/users'))).rejects.toMatchObject({ isOffline: true })
    expect(connection.online).toBe(false)
    const back = vi.fn()
    connection.onBack(back)
    answering(() => json(200, { status: 'alive' }))
    await connection.probe()
    expect(connection.online).toBe(true)
    expect(back).toHaveBeenCalledOnce()
  })
})
