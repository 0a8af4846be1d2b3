import { openedUsers as opened } from '$lib/state/people'

const MOST = 8

export function remember(user: string): void {
  opened.value = [user, ...opened.value.filter((one) => one !== user)].slice(0, MOST)
}

/** One who is erased is not remembered here either. */
export function forget(user: string): void {
  opened.value = opened.value.filter((one) => one !== user)
}
