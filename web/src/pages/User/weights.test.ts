import { describe, expect, it } from 'vitest'
import { bodyOf, stopOf, STOPS, withWeight } from './weights'

const topics = [
  { name: 'sea', share: 0.7, num_events: 7, weight: 1 },
  { name: 'news', share: 0.3, num_events: 3, weight: 0 },
]

describe('weights of topics', () => {
  it('have a place on the slider each, and the nearest where there is none', () => {
    expect(STOPS.map(stopOf)).toEqual(STOPS.map((_, place) => place))
    expect(STOPS[stopOf(4.4)]).toBe(5)
  })

  it('are sent where they are not as they are', () => {
    expect(bodyOf(topics)).toEqual({ news: 0 })
  })

  it('are set one at a time, and a new topic comes last', () => {
    expect(bodyOf(withWeight(topics, 'sea', 2))).toEqual({ sea: 2, news: 0 })
    expect(withWeight(topics, 'chess', 3).at(-1)).toEqual({ name: 'chess', share: 0, num_events: 0, weight: 3 })
    expect(topics[0]?.weight).toBe(1)
  })
})
