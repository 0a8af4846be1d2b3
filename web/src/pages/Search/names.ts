import { day } from '$lib/format'
import { t, type Language } from '$lib/i18n/i18n.svelte'
import type { filtersOf, Question } from './question'

/** 'en-GB' -> British English; what is no code of a language stays as it is. */
export function languageName(code: string, language: Language): string {
  try {
    return new Intl.DisplayNames(language === 'zh' ? 'zh-Hans' : 'en', { type: 'language' }).of(code) ?? code
  } catch {
    return code
  }
}

const BACK = { '7': 'search.pastWeek', '30': 'search.pastMonth', '365': 'search.pastYear' } as const

/** A filter as it is called. */
export function filterName(
  filter: ReturnType<typeof filtersOf>[number],
  question: Question,
  language: Language,
): string {
  if (filter.kind === 'language') return languageName(filter.name, language)
  if (filter.kind === 'since') {
    const back = BACK[filter.name as keyof typeof BACK] as (typeof BACK)['7'] | undefined
    return back ? t(back) : t('search.publishedSince', { day: day(Date.parse(filter.name)) })
  }
  if (filter.kind === 'category') return filter.name
  const { least, most } = question
  if (least !== null && most !== null) return t('search.lasts', { least, most })
  return least === null ? t('search.lastsMost', { most: most ?? 0 }) : t('search.lastsLeast', { least })
}
