import { describe, expect, it } from 'vitest'
import { asItIs, bodyOf, stopOf, STOPS, withTopic, withWeight } from './weights'

const topics = [
  { name: 'sea', share: 0.7, num_events: 7, weight: 1 },
  { name: 'news', share: 0.3, num_events: 3, weight: 0 },
]
const modalities = [
  { name: 'frames', share: 0.8, weight: 1 },
  { name: 'motion', share: 0.2, weight: 3 },
]

describe('weights', () => {
  it('have a place on the slider each, and the nearest where there is none', () => {
    expect(STOPS.map(stopOf)).toEqual(STOPS.map((_, place) => place))
    expect(STOPS[stopOf(4.4)]).toBe(5)
  })

  it('are sent where they are not as they are', () => {
    expect(bodyOf(topics)).toEqual({ news: 0 })
    expect(bodyOf(modalities)).toEqual({ motion: 3 })
  })

  it('are set one at a time', () => {
    expect(bodyOf(withWeight(modalities, 'frames', 0))).toEqual({ frames: 0, motion: 3 })
    expect(modalities[0]?.weight).toBe(1)
  })

  it('of a new topic come last', () => {
    expect(bodyOf(withTopic(topics, 'sea', 2))).toEqual({ sea: 2, news: 0 })
    expect(withTopic(topics, 'chess', 3).at(-1)).toEqual({ name: 'chess', share: 0, num_events: 0, weight: 3 })
  })

  it('are all set back at once', () => {
    expect(bodyOf(asItIs(modalities))).toEqual({})
    expect(asItIs(modalities).map((one) => one.share)).toEqual([0.8, 0.2])
  })
})
