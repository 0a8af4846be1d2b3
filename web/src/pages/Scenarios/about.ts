import { t, type Key } from '$lib/i18n/i18n.svelte'

const ABOUT: Record<string, Key> = {
  home: 'scenarios.aboutHome',
  related: 'scenarios.aboutRelated',
  search: 'scenarios.aboutSearch',
}
const ORIGINS: Record<string, Key> = {
  'built-in': 'scenarios.originBuiltIn',
  file: 'scenarios.originFile',
  store: 'scenarios.originStore',
}
const DEEDS: Record<string, Key> = {
  'rules changed': 'scenarios.didChange',
  'back to kinema.toml': 'scenarios.didReset',
  'experiment started': 'scenarios.didStart',
  'experiment stopped': 'scenarios.didStop',
  'as written': 'scenarios.didWrite',
}

const told = (keys: Record<string, Key>, name: string, otherwise: string): string => {
  const key = keys[name]
  return key ? t(key) : otherwise
}

/** What a placement that every project has is for; nothing of the project's own. */
export const aboutOf = (scenario: string): string => told(ABOUT, scenario, '')

/** Where its rules come from. */
export const originOf = (origin: string): string => told(ORIGINS, origin, origin)

/** What was done in a version. */
export const deedOf = (what: string): string => told(DEEDS, what, what)
