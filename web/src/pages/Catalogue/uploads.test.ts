import { describe, expect, it, vi } from 'vitest'
import { ApiError } from '$lib/api/errors'
import { Uploads, type Desk, type Job, type Wanted } from './uploads.svelte'

const job = (status: Job['status'], message: string | null = null): Job => ({
  job_id: 'j',
  item_id: 'a',
  status,
  message,
  created_ms: 0,
  updated_ms: 0,
})
const wanted = (id: string): Wanted => ({ file: new File(['x'], `${id}.mp4`), id, title: id, category: '' })

function desk(statuses: Job['status'][], send?: Desk['send']): Desk {
  return {
    send: send ?? (() => Promise.resolve(job('queued'))),
    job: () => Promise.resolve(job(statuses.shift() ?? 'recommendable')),
  }
}

const states = (uploads: Uploads) => uploads.list.map((one) => one.status)

describe('uploads', () => {
  it('are followed until they are recommendable', async () => {
    const uploads = new Uploads(desk(['decoding', 'encoding', 'recommendable']), 0)
    uploads.add([wanted('a')])
    expect([states(uploads), uploads.sending]).toEqual([['sending'], true])
    await vi.waitFor(() => expect(uploads.ended).toBe(1))
    expect([states(uploads), uploads.sending]).toEqual([['recommendable'], false])
  })

  it('go two at a time, in the order given', async () => {
    const open: (() => void)[] = []
    const sent: string[] = []
    const uploads = new Uploads(
      desk([], ({ id }) => {
        sent.push(id)
        return new Promise((resolve) => open.push(() => resolve(job('recommendable'))))
      }),
      0,
    )
    uploads.add(['a', 'b', 'c'].map(wanted))
    expect(sent).toEqual(['a', 'b'])
    open[0]?.()
    await vi.waitFor(() => expect(sent).toEqual(['a', 'b', 'c']))
  })

  it('say why they were refused, and can be sent again', async () => {
    let good = false
    const refuse = new ApiError(415, 'unsupported_media_type', 'is no video')
    const uploads = new Uploads(
      desk([], () => (good ? Promise.resolve(job('recommendable')) : Promise.reject(refuse))),
      0,
    )
    uploads.add([wanted('a')])
    await vi.waitFor(() => expect(states(uploads)).toEqual(['refused']))
    expect(uploads.list[0]?.message).toBe('is no video')
    good = true
    uploads.retry(uploads.list[0]?.key ?? -1)
    await vi.waitFor(() => expect(states(uploads)).toEqual(['recommendable']))
    uploads.clear()
    expect(uploads.list).toEqual([])
  })

  it('are given up with what was sent of them', () => {
    let aborted = false
    const uploads = new Uploads(
      desk([], (_, __, signal) => {
        signal.addEventListener('abort', () => (aborted = true))
        return new Promise(() => undefined)
      }),
      0,
    )
    uploads.add([wanted('a')])
    uploads.drop(uploads.list[0]?.key ?? -1)
    expect([aborted, uploads.list]).toEqual([true, []])
  })
})
