import { api, ask } from '$lib/api/client'

/** Something to choose in a `Picker`. */
export interface Choice {
  id: string
  title: string
  note: string
  poster?: boolean
}

const NUM_SHOWN = 12
const NUM_USERS = 200

/** Items whose title or id has the words; the most watched first where nothing is typed. */
export async function findItems(words: string, signal: AbortSignal): Promise<Choice[]> {
  const query = { q: words, limit: NUM_SHOWN }
  const page = await ask(api.GET('/v1/catalogue', { params: { query }, signal }))
  return page.items.map((one) => ({
    id: one.item_id,
    title: one.title || one.item_id,
    note: [one.item_id, ...one.categories.slice(0, 2)].join(' · '),
    poster: true,
  }))
}

/** Users whose id has the words, and whoever was typed. */
export async function findUsers(words: string, signal: AbortSignal): Promise<Choice[]> {
  const page = await ask(api.GET('/v1/users', { params: { query: { limit: NUM_USERS } }, signal }))
  const found = page.users
    .filter((one) => one.user_id.includes(words))
    .slice(0, NUM_SHOWN)
    .map((one) => ({
      id: one.user_id,
      title: one.user_id,
      note: Object.values(one.attributes).map(String).join(' · '),
    }))
  const typed = { id: words, title: words, note: '' }
  return words && !found.some((one) => one.id === words) ? [typed, ...found] : found
}
