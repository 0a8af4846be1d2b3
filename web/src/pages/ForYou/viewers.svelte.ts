import { api, ask } from '$lib/api/client'
import { newId } from '$lib/ids'
import { viewers as recent } from '$lib/state/people'

export { recent }

const NUM_KEPT = 6
const NUM_READ = 200
const LIKED = 3

export function remember(viewer: string): void {
  recent.value = [viewer, ...recent.value.filter((one) => one !== viewer)].slice(0, NUM_KEPT)
}

/** Somebody of whom nothing is known. */
export const stranger = (): string => newId('visitor-', 3)

/** Topics of the catalogue, as its first items name them. */
export async function topicsOfCatalogue(signal: AbortSignal): Promise<string[]> {
  const page = await ask(api.GET('/v1/items', { params: { query: { limit: NUM_READ } }, signal }))
  return [...new Set(page.items.flatMap((item) => item.categories.slice(0, 1)))].sort()
}

/** Make a viewer who says what they like before they have watched anything. */
export async function invent(name: string, topics: readonly string[]): Promise<string> {
  const id = name.trim() || stranger()
  const path = { user_id: id }
  await ask(api.PUT('/v1/users/{user_id}', { params: { path }, body: { attributes: {} } }))
  if (topics.length) {
    const weights = Object.fromEntries(topics.map((topic) => [topic, LIKED]))
    await ask(api.PUT('/v1/users/{user_id}/profile', { params: { path }, body: { topics: weights } }))
  }
  return id
}
