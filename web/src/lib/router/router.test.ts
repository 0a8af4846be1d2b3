import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { href, router } from './router.svelte'

let stop: () => void

beforeEach(() => {
  router.go('/')
  stop = router.start()
})

afterEach(() => stop())

describe('the router', () => {
  it('knows page, id and query', () => {
    router.go(href('item', 'films/7', { tab: 'frames' }))
    expect([router.page, router.id, router.query.get('tab')]).toEqual(['item', 'films/7', 'frames'])
  })

  it('keeps the other parts of the query', () => {
    router.go('/search?q=otters&n=5')
    router.set({ q: 'snow', n: null, mine: true })
    expect(location.search).toBe('?q=snow&mine=1')
  })

  it('counts changes of page, not of the query', () => {
    const before = router.visits
    router.go('/catalogue')
    router.set({ q: 'a' })
    expect(router.visits).toBe(before + 1)
  })

  it('follows links to its pages, and leaves others to the browser', () => {
    document.body.innerHTML = `<a id="in" href="/users/ann">Ann</a><a id="out" href="/docs">API</a>`
    const click = (id: string, init: MouseEventInit = {}) => {
      const event = new MouseEvent('click', { bubbles: true, cancelable: true, ...init })
      document.addEventListener('click', (late) => late.preventDefault(), { once: true })
      document.getElementById(id)?.dispatchEvent(event)
      return router.path
    }
    expect(click('out')).toBe('/')
    expect(click('in', { ctrlKey: true })).toBe('/')
    expect(click('in')).toBe('/users/ann')
  })

  it('has no page where there is none', () => {
    router.go('/nowhere')
    expect(router.page).toBeNull()
  })
})
