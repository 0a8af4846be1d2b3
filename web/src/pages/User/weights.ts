import type { Schema } from '$lib/api/client'

type Topic = Schema<'TopicOut'>

interface Weight {
  name: string
  weight: number
}

/** The places of the slider: 0 takes it away, 1 leaves it as it is. */
export const STOPS = [0, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10] as const

/** The place of a weight; of one that is between two places, the nearer. */
export function stopOf(weight: number): number {
  const gaps = STOPS.map((stop) => Math.abs(stop - weight))
  return gaps.indexOf(Math.min(...gaps))
}

/** What is sent: every weight that is not as it is. */
export function bodyOf(rows: readonly Weight[]): Record<string, number> {
  return Object.fromEntries(rows.filter((one) => one.weight !== 1).map(({ name, weight }) => [name, weight]))
}

/** All of them with one set. */
export function withWeight<T extends Weight>(rows: readonly T[], name: string, weight: number): T[] {
  return rows.map((one) => (one.name === name ? { ...one, weight } : one))
}

/** Topics with one of them set; one that was not there comes last. */
export function withTopic(topics: readonly Topic[], name: string, weight: number): Topic[] {
  if (topics.some((topic) => topic.name === name)) return withWeight(topics, name, weight)
  return [...topics, { name, share: 0, num_events: 0, weight }]
}

/** All of them set back. */
export const asItIs = <T extends Weight>(rows: readonly T[]): T[] => rows.map((one) => ({ ...one, weight: 1 }))
