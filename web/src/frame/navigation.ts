import Activity from '@lucide/svelte/icons/activity'
import Boxes from '@lucide/svelte/icons/boxes'
import Clapperboard from '@lucide/svelte/icons/clapperboard'
import LibraryBig from '@lucide/svelte/icons/library-big'
import Play from '@lucide/svelte/icons/play'
import Search from '@lucide/svelte/icons/search'
import SlidersHorizontal from '@lucide/svelte/icons/sliders-horizontal'
import UserRound from '@lucide/svelte/icons/user-round'
import type { Component } from 'svelte'
import type { Key } from '$lib/i18n/i18n.svelte'
import type { PageName } from '$lib/router/router.svelte'

export interface Entry {
  page: PageName
  label: Key
  icon: Component
}

/** What the console is for: watch, see, steer, trust. */
export const GROUPS: { label: Key; entries: Entry[] }[] = [
  {
    label: 'frame.watch',
    entries: [
      { page: 'forYou', label: 'frame.forYou', icon: Play },
      { page: 'search', label: 'frame.search', icon: Search },
    ],
  },
  {
    label: 'frame.see',
    entries: [
      { page: 'item', label: 'frame.item', icon: Clapperboard },
      { page: 'user', label: 'frame.user', icon: UserRound },
      { page: 'catalogue', label: 'frame.catalogue', icon: LibraryBig },
    ],
  },
  { label: 'frame.steer', entries: [{ page: 'scenarios', label: 'frame.scenarios', icon: SlidersHorizontal }] },
  {
    label: 'frame.trust',
    entries: [
      { page: 'model', label: 'frame.model', icon: Boxes },
      { page: 'health', label: 'frame.health', icon: Activity },
    ],
  },
]

export const ENTRIES: Entry[] = GROUPS.flatMap((group) => group.entries)

/** On a phone these four are in the bar, the others behind "more". */
export const IN_BAR: PageName[] = ['forYou', 'search', 'catalogue', 'health']
