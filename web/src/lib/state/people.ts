import { Kept } from './kept.svelte'

/** People this browser has opened, the last one first. */
export const openedUsers = new Kept<string[]>('users', [])

/** People as whom clips were watched here, the last one first. */
export const viewers = new Kept<string[]>('viewers', [])

const owner = new Kept('people-of', '')

/** These lists are of the holder of one key: whoever signs in next may not see whom they name. */
export function belongTo(key: string): void {
  if (owner.value === key) return
  openedUsers.value = []
  viewers.value = []
  owner.value = key
}
