import { session } from '$lib/state/session.svelte'

const DOTS = '•••'

/** An id of which one sees that it is the same again, and not whose it is. */
export function masked(id: string): string {
  const signs = Array.from(id)
  return signs.length < 5 ? DOTS : `${signs[0] ?? ''}${DOTS}${signs.slice(-2).join('')}`
}

/** Whether the key may see personal fields, as the service judges it. */
export const seesPersonal = (): boolean => session.can('personal') || session.can('admin')

/** An id as the holder of this key may see it. */
export const shownId = (id: string): string => (seesPersonal() ? id : masked(id))
