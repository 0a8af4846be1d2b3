import type { Schema } from '$lib/api/client'

type Topic = Schema<'TopicOut'>

/** The places of the slider: 0 shows none, 1 leaves a topic as it is. */
export const STOPS = [0, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10] as const

/** The place of a weight; of one that is between two places, the nearer. */
export function stopOf(weight: number): number {
  const gaps = STOPS.map((stop) => Math.abs(stop - weight))
  return gaps.indexOf(Math.min(...gaps))
}

/** What is sent: every weight that is not as it is. */
export function bodyOf(topics: readonly Pick<Topic, 'name' | 'weight'>[]): Record<string, number> {
  return Object.fromEntries(topics.filter((topic) => topic.weight !== 1).map(({ name, weight }) => [name, weight]))
}

/** Topics with one of them set; one that was not there comes last. */
export function withWeight(topics: readonly Topic[], name: string, weight: number): Topic[] {
  if (topics.some((topic) => topic.name === name)) {
    return topics.map((topic) => (topic.name === name ? { ...topic, weight } : topic))
  }
  return [...topics, { name, share: 0, num_events: 0, weight }]
}
