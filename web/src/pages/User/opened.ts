import { Kept } from '$lib/state/kept.svelte'

const MOST = 8

/** Users this browser has opened, the last one first. */
export const opened = new Kept<string[]>('users', [])

export function remember(user: string): void {
  opened.value = [user, ...opened.value.filter((one) => one !== user)].slice(0, MOST)
}

/** One who is erased is not remembered here either. */
export function forget(user: string): void {
  opened.value = opened.value.filter((one) => one !== user)
}
