import { translator } from '$lib/i18n/i18n.svelte'
import { number } from '$lib/format'

const UNITS = [
  ['millisecond', 0.001, 1],
  ['second', 1, 120],
  ['minute', 60, 7200],
  ['hour', 3600, 172_800],
] as const

/** A length of time in one unit: 0.235 -> 235 ms, 1800 -> 30 min, 691200 -> 8 days. */
export function span(seconds: number): string {
  const locale = translator.language === 'zh' ? 'zh-CN' : 'en-GB'
  const [unit, size] = UNITS.find(([, , most]) => seconds < most) ?? (['day', 86_400] as const)
  if (unit === 'millisecond') return `${number(seconds * 1000)} ms`
  const style = { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: unit === 'day' ? 1 : 0 } as const
  return new Intl.NumberFormat(locale, style).format(seconds / size)
}
