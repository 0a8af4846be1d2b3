import { api, ask, type Schema } from '$lib/api/client'
import { ApiError, asApiError } from '$lib/api/errors'
import { remarks } from '$lib/notices'
import { newId } from '$lib/ids'
import { connection } from '$lib/state/connection.svelte'
import { items } from '$lib/state/items.svelte'
import type { Evidence } from '$lib/why'
import { bringNext, compare, splice, topicShares, type Move, type Share } from './ranks'

export type Act = 'watch' | 'like' | 'skip' | 'dislike'
type Profile = Schema<'ProfileOut'>
type EventIn = Schema<'EventIn'>

export interface Clip {
  id: string
  title: string
  reason: string | null
  evidence: Evidence | null
  /** In the answer that brought it: what clicks and watch time are credited to. */
  position: number
  recommendationId: string
}

/** One thing the viewer did, and what it did to the feed. */
export interface Deed {
  key: number
  act: Act
  title: string
  watchMs: number | null
  /** Null until the feed has answered. */
  effect: { moved: number; fresh: number; tookMs: number } | null
}

export const NUM_NEXT = 12
const FEW = 4
const NUM_DEEDS = 30

/** A viewer's feed: asked anew after everything they do, so that the rest of it reacts. */
export class Feed {
  readonly viewer: string
  readonly #session = newId('console-')
  clips = $state.raw<Clip[]>([])
  at = $state(0)
  moves = $state.raw(new Map<string, Move>())
  deeds = $state.raw<Deed[]>([])
  liked = $state.raw(new Set<string>())
  profile = $state.raw<Profile | null>(null)
  /** As it was when this feed began: what changes are counted from. */
  first = $state.raw<Profile | null>(null)
  /** Topics of the first list. */
  firstTopics = $state.raw<Share[] | null>(null)
  #told = $state.raw<Parameters<typeof remarks>[0]>({})
  error = $state.raw<ApiError | null>(null)
  loading = $state(true)
  reacting = $state(false)
  #turn = 0
  #deed = 0
  #shown = new Set<string>()
  #outbox: EventIn[] = []
  #isNew: boolean

  #tells: boolean

  /**
   * @param isNew Nobody has heard of this viewer yet: there is no profile to ask for before their first event.
   * @param tells What the viewer is shown is told to the service; a key that may only read cannot.
   */
  constructor(viewer: string, isNew = false, tells = true) {
    this.viewer = viewer
    this.#isNew = isNew
    this.#tells = tells
  }

  /** What the service remarks on the newest list, in the reader's language. */
  get notice(): string | null {
    return remarks(this.#told)
  }

  get current(): Clip | undefined {
    return this.clips[this.at]
  }

  get next(): Clip[] {
    return this.clips.slice(this.at + 1)
  }

  /** Topics of what comes next. */
  get topics(): Share[] {
    return topicShares(this.next.slice(0, NUM_NEXT).map((clip) => items.get(clip.id)?.categories[0]))
  }

  /** Ask for the first list. Returns how to stop. */
  start(): () => void {
    void this.reload()
    return connection.onBack(() => void this.#resume())
  }

  async reload(): Promise<void> {
    this.loading = true
    await Promise.all([this.#react(), this.#learn()])
    this.first = this.profile
    this.loading = false
    await items.want(this.clips.slice(0, NUM_NEXT + 1).map((clip) => clip.id))
    this.firstTopics = this.topics
  }

  /** The service is back: send what was kept, then ask what comes next. */
  async #resume(): Promise<void> {
    if (await this.#flush()) await Promise.all([this.#react(), this.#learn()])
  }

  /** The viewer has come to a clip of the feed. */
  show(at: number): void {
    const clip = this.clips[at]
    if (!clip) return
    this.at = at
    if (!this.#shown.has(clip.id)) {
      this.#shown.add(clip.id)
      if (this.#tells) void this.#send(this.#event(clip, 'impression'))
    }
    if (this.clips.length - at <= FEW && !this.reacting) void this.#react()
  }

  /** Bring a clip of the list to the next place. */
  bring(id: string): void {
    this.clips = bringNext(this.clips, this.at, id)
    this.moves = new Map()
  }

  /** The viewer did something: tell it, then ask what they should see now. */
  async act(clip: Clip, act: Act, watchMs: number | null = null): Promise<void> {
    const key = this.#deed++
    this.deeds = [{ key, act, title: clip.title || clip.id, watchMs, effect: null }, ...this.deeds].slice(0, NUM_DEEDS)
    if (act === 'like') this.liked = new Set([...this.liked, clip.id])
    const begun = performance.now()
    if (!(await this.#send(this.#event(clip, act, watchMs)))) return
    const [change] = await Promise.all([this.#react(), this.#learn()])
    if (!change) return
    const effect = { moved: change.moved, fresh: change.fresh, tookMs: performance.now() - begun }
    this.deeds = this.deeds.map((deed) => (deed.key === key ? { ...deed, effect } : deed))
  }

  #event(clip: Clip, kind: Act | 'impression', watchMs: number | null = null): EventIn {
    return {
      user_id: this.viewer,
      item_id: clip.id,
      kind,
      event_id: newId('console-'),
      session_id: this.#session,
      recommendation_id: clip.recommendationId,
      position: clip.position,
      timestamp_ms: Date.now(),
      ...(watchMs === null ? {} : { watch_ms: watchMs }),
      context: { placement: 'console' },
    }
  }

  /** Send events; those that do not get through are kept until the service is back, with their ids: twice is once. */
  async #send(event: EventIn): Promise<boolean> {
    this.#outbox.push(event)
    return this.#flush()
  }

  async #flush(): Promise<boolean> {
    const events = this.#outbox
    if (!events.length) return true
    this.#outbox = []
    try {
      await ask(api.POST('/v1/events', { body: { events } }))
      this.#isNew = false
      return true
    } catch (thrown) {
      const error = asApiError(thrown)
      if (error.isOffline || error.status === 429) this.#outbox = [...events, ...this.#outbox]
      else this.error = error
      return false
    }
  }

  /** Ask for what comes next; an answer that a later question has overtaken is dropped. */
  async #react() {
    const turn = ++this.#turn
    this.reacting = true
    try {
      const answer = await ask(
        api.POST('/v1/users/{user_id}/recommendations', {
          params: { path: { user_id: this.viewer } },
          body: {
            n: this.clips.length ? NUM_NEXT : NUM_NEXT + 1,
            scenario: 'home',
            exclude: this.clips.slice(0, this.at + 1).map((clip) => clip.id),
            session: [],
            context: { placement: 'console' },
            explain: true,
            debug: false,
          },
        }),
      )
      if (turn !== this.#turn) return null
      return this.#take(answer)
    } catch (thrown) {
      if (turn === this.#turn) this.error = asApiError(thrown)
      return null
    } finally {
      if (turn === this.#turn) this.reacting = false
    }
  }

  #take(answer: Schema<'RecommendOut'>) {
    const before = this.next.map((clip) => clip.id)
    const fresh = answer.items.map((item) => ({
      id: item.item_id,
      title: item.title,
      reason: item.reason ?? null,
      evidence: (item.evidence as Evidence | null | undefined) ?? null,
      position: item.position,
      recommendationId: answer.recommendation_id,
    }))
    this.clips = this.clips.length ? splice(this.clips, this.at, fresh) : fresh
    const change = compare(
      before,
      this.next.map((clip) => clip.id),
    )
    this.moves = before.length ? change.moves : new Map()
    this.#told = answer
    this.error = null
    void items.want(this.clips.slice(this.at).map((clip) => clip.id))
    return change
  }

  async #learn(): Promise<void> {
    if (this.#isNew) {
      this.profile = this.#nothing()
      return
    }
    try {
      const path = { user_id: this.viewer }
      this.profile = await ask(api.GET('/v1/users/{user_id}/profile', { params: { path } }))
    } catch (thrown) {
      const error = asApiError(thrown)
      // A viewer of whom nothing is known yet has no profile; the first event makes them.
      if (error.status === 404) {
        this.profile = this.#nothing()
      } else if (!error.isOffline) this.error = error
    }
  }

  #nothing(): Profile {
    return { user_id: this.viewer, num_events: 0, topics: [], modalities: [] }
  }
}
