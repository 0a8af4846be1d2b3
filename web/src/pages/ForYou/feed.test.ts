import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connection } from '$lib/state/connection.svelte'
import { Feed, type Clip } from './feed.svelte'

interface Event {
  kind: string
  item_id: string
  event_id: string
  recommendation_id: string
  position: number
  watch_ms?: number
}

/** A service that recommends what is left of its list, and brings "c" first to who liked "a". */
class Service {
  events: Event[] = []
  excluded: string[][] = []
  away = false
  known = true

  async answer(asked: Request): Promise<Response> {
    if (this.away) throw new TypeError('Failed to fetch')
    const path = new URL(asked.url).pathname
    if (path === '/v1/events') {
      const { events } = (await asked.json()) as { events: Event[] }
      this.events.push(...events)
      return Response.json({ accepted: events.length, rejected: [] })
    }
    if (path.endsWith('/recommendations')) {
      const { exclude } = (await asked.json()) as { exclude: string[] }
      this.excluded.push(exclude)
      const likes = this.events.some((event) => event.kind === 'like')
      const list = [...(likes ? 'acbdefgh' : 'abcdefgh')].filter((id) => !exclude.includes(id))
      const items = list.map((id, position) => ({ item_id: id, title: id, position, score: 1, propensity: 1 }))
      return Response.json({
        recommendation_id: `r${this.excluded.length}`,
        scenario: 'home',
        model_version: '1',
        items,
      })
    }
    if (path.endsWith('/profile')) {
      if (!this.known) {
        const error = { code: 'not_found', message: 'unknown user', field: 'user_id' }
        return Response.json({ error }, { status: 404 })
      }
      const count = this.events.filter((event) => event.kind !== 'impression').length
      return Response.json({ user_id: 'ann', num_events: count, topics: [], modalities: [] })
    }
    const categories = path.endsWith('/a') || path.endsWith('/c') ? ['nature'] : ['sport']
    return Response.json({ item_id: path.split('/').at(-1), categories })
  }
}

let service: Service
const order = (feed: Feed) => feed.clips.map((clip) => clip.id).join('')

beforeEach(() => {
  service = new Service()
  vi.stubGlobal('fetch', (asked: RequestInfo | URL) =>
    asked instanceof Request
      ? service.answer(asked)
      : service.answer(new Request(new URL(String(asked), location.origin))),
  )
})

afterEach(() => {
  connection.answered()
  vi.unstubAllGlobals()
})

async function started(): Promise<Feed> {
  const feed = new Feed('ann')
  await feed.reload()
  return feed
}

describe('the feed', () => {
  it('begins with what is recommended, and its topics', async () => {
    const feed = await started()
    expect([order(feed), feed.at, feed.loading]).toEqual(['abcdefgh', 0, false])
    expect(feed.firstTopics).toEqual([
      { name: 'sport', share: 6 / 7 },
      { name: 'nature', share: 1 / 7 },
    ])
  })

  it('asks anew after a like, says what moved, and credits the answer', async () => {
    const feed = await started()
    await feed.act(feed.current as Clip, 'like')
    expect(order(feed)).toBe('acbdefgh')
    expect([feed.moves.get('c'), feed.moves.get('b'), feed.moves.get('d')]).toEqual([1, -1, 0])
    expect(feed.deeds[0]).toMatchObject({ act: 'like', title: 'a', effect: { moved: 2, fresh: 0 } })
    expect(feed.liked.has('a')).toBe(true)
    expect(service.events.at(-1)).toMatchObject({ kind: 'like', item_id: 'a', recommendation_id: 'r1', position: 0 })
    expect(service.excluded.at(-1)).toEqual(['a'])
    expect(feed.profile?.num_events).toBe(1)
    expect(feed.first?.num_events).toBe(0)
  })

  it('never moves what was shown', async () => {
    const feed = await started()
    feed.show(1)
    await feed.act(feed.current as Clip, 'watch', 4200)
    expect(order(feed).startsWith('ab')).toBe(true)
    expect(service.events.find((event) => event.kind === 'watch')).toMatchObject({ item_id: 'b', watch_ms: 4200 })
  })

  it('tells an impression once a clip', async () => {
    const feed = await started()
    feed.show(0)
    feed.show(1)
    feed.show(0)
    await vi.waitFor(() => expect(service.events.map((event) => event.item_id)).toEqual(['a', 'b']))
  })

  it('asks for more before it ends', async () => {
    const feed = await started()
    feed.show(5)
    await vi.waitFor(() => expect(service.excluded.at(-1)).toEqual([...'abcdef']))
  })

  it('tells nothing for a key that may only read', async () => {
    const feed = new Feed('ann', false, false)
    await feed.reload()
    feed.show(0)
    feed.show(1)
    await Promise.resolve()
    expect([service.events.length, feed.error]).toEqual([0, null])
  })

  it('keeps what could not be sent, and sends it once the service is back', async () => {
    const feed = await started()
    service.away = true
    await feed.act(feed.current as Clip, 'like')
    expect([service.events.length, order(feed), feed.error]).toEqual([0, 'abcdefgh', null])
    service.away = false
    const stop = feed.start()
    await connection.probe()
    await vi.waitFor(() => expect(service.events.map((event) => event.kind)).toEqual(['like']))
    stop()
  })

  it('takes somebody of whom nothing is known for somebody new', async () => {
    service.known = false
    const feed = await started()
    expect([feed.profile?.num_events, feed.error]).toEqual([0, null])
  })

  it('plays a clip of the list next', async () => {
    const feed = await started()
    feed.bring('f')
    expect(order(feed)).toBe('afbcdegh')
  })
})
