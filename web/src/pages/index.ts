import type { Component } from 'svelte'
import type { PageName } from '$lib/router/router.svelte'

/** Each page is a file of its own, fetched when it is opened first. */
export const PAGES: Record<PageName, () => Promise<{ default: Component }>> = {
  forYou: () => import('./ForYou/ForYou.svelte'),
  search: () => import('./Search/Search.svelte'),
  item: () => import('./Item/Item.svelte'),
  user: () => import('./User/User.svelte'),
  catalogue: () => import('./Catalogue/Catalogue.svelte'),
  scenarios: () => import('./Scenarios/Scenarios.svelte'),
  model: () => import('./Model/Model.svelte'),
  health: () => import('./Health/Health.svelte'),
}
