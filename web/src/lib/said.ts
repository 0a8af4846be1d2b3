import type { ApiError } from './api/errors'
import type Texts from './i18n/en/said'
import { t, translator, type Key } from './i18n/i18n.svelte'

/**
 * The forms in which the service says what is wrong: "cannot decode 'a.mp4': ...", "unknown item 'v1'", "n must be ..., is 0".
 * Each part found is a value of its text.
 */
const FORMS: readonly (readonly [RegExp, Key])[] = [
  [/^cannot decode '(?<name>[^']+)'/, 'said.undecodable'],
  [/^cannot decode the clip/, 'said.undecodableClip'],
  [/^cannot read '(?<name>[^']+)'/, 'said.unreadable'],
  [/^unknown item '(?<name>[^']+)'/, 'said.unknownItem'],
  [/^unknown user '(?<name>[^']+)'/, 'said.unknownUser'],
  [/^unknown scenario '(?<name>[^']+)'/, 'said.unknownScenario'],
  [/^the recommender was not ready in time/, 'said.notReady'],
  [/^it could not be understood/, 'said.notUnderstood'],
  [/^(?:the )?(?<name>'[^']+'|[^,;:]{1,60}?) must (?:[^;]*), (?:is|has) (?<value>[^;]{1,60})/i, 'said.mustBe'],
  [/^(?:the )?(?<name>'[^']+'|[^,;:]{1,60}?) must /i, 'said.must'],
  [/^must (?:[^;]*), (?:is|has) (?<value>[^;]{1,60})/i, 'said.mustBeHere'],
]

/** What is the matter, in a few words of the reader's language. */
function inShort(message: string, code: string): string {
  for (const [form, key] of FORMS) {
    const found = form.exec(message)
    if (found) return t(key, { ...found.groups })
  }
  const key: Key = `said.${code as keyof typeof Texts}`
  return t(translator.raw(key) === key ? 'said.other' : key)
}

/**
 * What the service says of a failure, for the reader. Its sentences are English and name the remedy; in another language what is
 * the matter comes first and the sentence stands in brackets.
 *
 * @param code The error's own, where it has one.
 */
export function said(message: string, code = ''): string {
  if (translator.language === 'en' || !message) return message
  return t('said.whole', { short: inShort(message, code), message })
}

const codeOf = (error: ApiError) => (error.isOffline ? 'offline' : error.code)

/** An error in one line. */
export const saidOf = (error: ApiError): string => said(error.message, codeOf(error))

/** An error's headline; its message says more. */
export const headline = (error: ApiError): string => inShort(error.message, codeOf(error))
