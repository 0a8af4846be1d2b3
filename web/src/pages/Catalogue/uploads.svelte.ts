import { api, ask, upload, type Schema } from '$lib/api/client'
import { asApiError, isAborted } from '$lib/api/errors'

export type Job = Schema<'MediaJob'>
export type Status = 'waiting' | 'sending' | 'refused' | Job['status']

export interface Wanted {
  file: File
  id: string
  title: string
  /** Of an item that is not there yet. */
  category: string
}

export interface Sent extends Wanted {
  key: number
  status: Status
  /** Of the file that has arrived, 0 to 1. */
  share: number
  message: string | null
}

export interface Desk {
  send: (wanted: Wanted, onprogress: (share: number) => void, signal: AbortSignal) => Promise<Job>
  job: (id: string) => Promise<Job>
}

const AT_ONCE = 2
const FOLLOW_MS = 700
const ENDED: Status[] = ['recommendable', 'failed', 'refused']

export const isEnded = (status: Status): boolean => ENDED.includes(status)

/** The steps of a clip on its way, for a line of dots. */
export const STEPS: Status[] = ['sending', 'queued', 'decoding', 'encoding', 'recommendable']

async function send({ file, id, title, category }: Wanted, onprogress: (share: number) => void, signal: AbortSignal) {
  const path = { item_id: id }
  if (category) {
    const there = await ask(api.GET('/v1/items/{item_id}', { params: { path }, signal })).catch(() => null)
    const item = { title, categories: [category] } as Schema<'ItemIn'> // what is left out has its usual value
    if (!there) await ask(api.PUT('/v1/items/{item_id}', { params: { path }, body: item, signal }))
  }
  const form = new FormData()
  form.append('file', file)
  const address = `/v1/items/${encodeURIComponent(id)}/media?${new URLSearchParams({ title }).toString()}`
  return upload<Job>(address, form, onprogress, signal)
}

const ours: Desk = {
  send,
  job: (id) => ask(api.GET('/v1/media/{job_id}', { params: { path: { job_id: id } } })),
}

/** Clips that were sent from here: two at a time, each followed until it is recommendable or has failed. Goes on while other pages are open. */
export class Uploads {
  list = $state.raw<readonly Sent[]>([])
  /** Rises with every clip that has ended. */
  ended = $state(0)
  #next = 0
  readonly #controls = new Map<number, AbortController>()
  readonly #desk: Desk
  readonly #followMs: number

  constructor(desk: Desk = ours, followMs = FOLLOW_MS) {
    this.#desk = desk
    this.#followMs = followMs
  }

  /** Something would be lost if the window were closed now. */
  get sending(): boolean {
    return this.list.some((one) => one.status === 'waiting' || one.status === 'sending')
  }

  add(wanted: readonly Wanted[]): void {
    const fresh = wanted.map((one): Sent => ({ ...one, key: this.#next++, status: 'waiting', share: 0, message: null }))
    this.list = [...fresh, ...this.list]
    this.#pump()
  }

  /** Give up what has not arrived yet; take what has ended out of the list. */
  drop(key: number): void {
    this.#controls.get(key)?.abort()
    this.list = this.list.filter((one) => one.key !== key)
  }

  retry(key: number): void {
    this.#set(key, { status: 'waiting', share: 0, message: null })
    this.#pump()
  }

  clear(): void {
    this.list = this.list.filter((one) => !isEnded(one.status))
  }

  #set(key: number, change: Partial<Sent>): void {
    this.list = this.list.map((one) => (one.key === key ? { ...one, ...change } : one))
  }

  #pump(): void {
    const busy = this.list.filter((one) => one.status === 'sending').length
    const next = this.list.filter((one) => one.status === 'waiting').sort((one, other) => one.key - other.key)
    next.slice(0, Math.max(0, AT_ONCE - busy)).forEach((one) => void this.#send(one))
  }

  async #send(one: Sent): Promise<void> {
    const control = new AbortController()
    this.#controls.set(one.key, control)
    this.#set(one.key, { status: 'sending' })
    try {
      const job = await this.#desk.send(one, (share) => this.#set(one.key, { share }), control.signal)
      this.#set(one.key, { status: job.status, share: 1, message: job.message ?? null })
      void this.#follow(one.key, job)
    } catch (thrown) {
      if (!isAborted(thrown)) this.#set(one.key, { status: 'refused', message: asApiError(thrown).message })
    } finally {
      this.#controls.delete(one.key)
      this.#pump()
    }
  }

  async #follow(key: number, job: Job): Promise<void> {
    let now = job
    while (!isEnded(now.status)) {
      await new Promise((resolve) => setTimeout(resolve, this.#followMs))
      if (!this.list.some((one) => one.key === key)) return
      try {
        now = await this.#desk.job(job.job_id)
      } catch (thrown) {
        if (asApiError(thrown).isOffline) continue // asked again when the service is back
        this.#set(key, { status: 'failed', message: asApiError(thrown).message })
        break
      }
      this.#set(key, { status: now.status, message: now.message ?? null })
    }
    this.ended += 1
  }
}

export const uploads = new Uploads()
