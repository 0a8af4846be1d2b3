import { translator } from './i18n/i18n.svelte'

const locale = () => (translator.language === 'zh' ? 'zh-CN' : 'en-GB')

/** 12345 -> 12,345 */
export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value)
}

/** 12345 -> 12K */
export function compact(value: number): string {
  return new Intl.NumberFormat(locale(), { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

/** 0.4123 -> 41% */
export function percent(share: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(share)
}

/** A change of a share in points, with its sign: 0.123 -> +12 */
export function points(change: number): string {
  return new Intl.NumberFormat(locale(), { signDisplay: 'exceptZero', maximumFractionDigits: 0 }).format(change * 100)
}

/** 0.25 -> +0.25 */
export function signed(value: number): string {
  return new Intl.NumberFormat(locale(), { signDisplay: 'exceptZero', maximumFractionDigits: 2 }).format(value)
}

/** 65000 -> 1:05 */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const tail = `${String(minutes).padStart(hours ? 2 : 1, '0')}:${String(seconds % 60).padStart(2, '0')}`
  return hours ? `${hours}:${tail}` : tail
}

/** 0.42 -> 420 µs, 12.3 -> 12 ms, 2300 -> 2.3 s */
export function took(milliseconds: number): string {
  if (milliseconds < 1) return `${number(milliseconds * 1000)} µs`
  if (milliseconds < 1000) return `${number(milliseconds, milliseconds < 10 ? 1 : 0)} ms`
  return `${number(milliseconds / 1000, 1)} s`
}

/** 12345678 -> 12.3 MB */
export function bytes(size: number): string {
  const step = size < 1 ? 0 : Math.min(4, Math.floor(Math.log10(size) / 3))
  return `${number(size / 1000 ** step, step ? 1 : 0)} ${['B', 'kB', 'MB', 'GB', 'TB'][step] ?? 'B'}`
}

/** A moment as date and time. */
export function moment(milliseconds: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' }).format(milliseconds)
}

/** A moment as date. */
export function day(milliseconds: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium' }).format(milliseconds)
}

/** A day as 2026-01-31, short: 31 Jan. */
export function shortDay(iso: string): string {
  const format = new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short', timeZone: 'UTC' })
  return format.format(Date.parse(iso))
}

/** A moment as time of day. */
export function timeOfDay(milliseconds: number): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: 'short' }).format(milliseconds)
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600_000],
  ['month', 2_629_800_000],
  ['week', 604_800_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

/** How long ago a moment was: "3 minutes ago". */
export function ago(milliseconds: number, now = Date.now()): string {
  const passed = milliseconds - now
  const [unit, size] = STEPS.find(([, one]) => Math.abs(passed) >= one) ?? ['second', 1000]
  return new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' }).format(Math.round(passed / size), unit)
}
