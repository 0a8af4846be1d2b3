import { describe, expect, it } from 'vitest'
import { ApiError, asApiError, errorOf, isAborted } from './errors'

const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  new Response(body, { status, headers })

describe('errorOf', () => {
  it("reads the service's own form", async () => {
    const body = '{"error": {"code": "invalid", "message": "n must be less than 1000", "field": "n"}}'
    expect(await errorOf(answer(422, body))).toMatchObject({
      status: 422,
      code: 'invalid',
      message: 'n must be less than 1000',
      field: 'n',
      isOffline: false,
    })
  })

  it('keeps the status of what is in another form', async () => {
    expect(await errorOf(answer(502, '<h1>Bad gateway</h1>'))).toMatchObject({ status: 502, code: 'unexpected' })
  })

  it('knows when to come again', async () => {
    expect((await errorOf(answer(429, '{}', { 'Retry-After': '3' }))).retryAfterMs).toBe(3000)
  })
})

describe('asApiError', () => {
  it('takes a refused connection for a service that is away', () => {
    expect(asApiError(new TypeError('Failed to fetch'))).toMatchObject({ isOffline: true, code: 'offline' })
  })

  it('leaves errors of the service as they are', () => {
    const error = new ApiError(404, 'not_found', 'unknown item')
    expect(asApiError(error)).toBe(error)
  })

  it('tells requests that were given up', () => {
    expect(isAborted(new DOMException('gone', 'AbortError'))).toBe(true)
    expect(isAborted(new TypeError('gone'))).toBe(false)
  })
})
