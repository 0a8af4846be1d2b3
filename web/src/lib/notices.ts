import type { Schema } from './api/client'
import { number, percent } from './format'
import { t, translator, type Key } from './i18n/i18n.svelte'

export type Remark = Schema<'NoticeOut'>
export type Code = Remark['code']

/** Why clips were left out; see `kinema.recommend.filters` and `conditions`. */
const GONE: Record<string, Key> = {
  hidden: 'notices.goneHidden',
  unpublished: 'notices.goneUnpublished',
  seen: 'notices.goneSeen',
  excluded: 'notices.goneExcluded',
  copies: 'notices.goneCopies',
  unknown: 'notices.goneUnknown',
  'of another category': 'notices.goneCategory',
  'of a category left out': 'notices.goneCategoryOut',
  'without such a tag': 'notices.goneTag',
  'with a tag left out': 'notices.goneTagOut',
  'in another language': 'notices.goneLanguage',
  'published before': 'notices.goneBefore',
  'too old': 'notices.goneOld',
  'of another length': 'notices.goneLength',
  'no longer available': 'notices.goneUnavailable',
}

const comma = () => (translator.language === 'zh' ? '，' : ', ')

/** A remark in the reader's language; one of a newer service stays as it was written. */
export function remark(one: Remark): string {
  const key: Key = `notices.${one.code}`
  return translator.raw(key) === key ? one.text : t(key, shown(one))
}

/** All remarks on an answer in one line; null for none. */
export function remarks(answer: { notices?: readonly Remark[] | undefined; notice?: string | null | undefined }) {
  const all = (answer.notices ?? []).map(remark)
  return all.join(translator.language === 'zh' ? '；' : '; ') || answer.notice || null
}

/** The values as they are written: counts in the reader's way, lists as lists. */
function shown({ code, values }: Remark): Record<string, string | number> {
  const written: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string' || typeof value === 'number') written[name] = value
  }
  if (code === 'too_few' || code === 'too_few_users') written['why'] = removed(values['removed'] as Counts)
  if (code === 'words_unknown') written['words'] = (values['words'] as string[]).map((one) => `“${one}”`).join(comma())
  if (code === 'words_alone' || code === 'pictures_left_out') written['why'] = because(values['why'] as string)
  if (code === 'split_wrong') written['split'] = split(values['users'] as Counts, values['shares'] as Counts)
  return written
}

type Counts = Record<string, number>

function removed(counts: Counts): string {
  const gone = Object.entries(counts).map(([reason, n]) => {
    const key = GONE[reason]
    return key ? t(key, { n }) : `${number(n)} ${reason}`
  })
  return gone.length ? t('notices.ofOthers', { removed: gone.join(comma()) }) : t('notices.noMore')
}

/** What went wrong on the machine is told in the words of the program, without what the sentence has said already. */
function because(why: string): string {
  const own = why.replace(/^pictures are not searched for the words: /, '')
  return own && (translator.language === 'zh' ? `（${own}）` : `: ${own}`)
}

function split(users: Counts, shares: Counts): string {
  return Object.entries(users)
    .map(([name, n]) => t('notices.splitOf', { name, n: number(n), share: percent(shares[name] ?? 0) }))
    .join(comma())
}
