export type Scalar = string | number | boolean

const NUMBER = /^-?\d+(\.\d+)?$/

/** What somebody typed as the value of an attribute: `12` is a number, `true` a truth, `"12"` and everything else a text. */
export function given(text: string): Scalar {
  const bare = text.trim()
  if (bare === 'true' || bare === 'false') return bare === 'true'
  if (NUMBER.test(bare)) return Number(bare)
  return bare.length > 1 && bare.startsWith('"') && bare.endsWith('"') ? bare.slice(1, -1) : bare
}

/** A value as it is typed; a text that would be read as something else is in quotes. */
export function draftValue(value: Scalar): string {
  if (typeof value !== 'string') return String(value)
  return typeof given(value) === 'string' && given(value) === value ? value : `"${value}"`
}
