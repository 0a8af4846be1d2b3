import en from './en'

export type Language = 'en' | 'zh'
export type Messages = { [Page in keyof typeof en]: Record<keyof (typeof en)[Page], string> }
/** A text's name: its page and its key, `'forYou.title'`. */
export type Key = { [Page in keyof typeof en]: `${Page}.${keyof (typeof en)[Page] & string}` }[keyof typeof en]
export type Params = Record<string, string | number>

export const LANGUAGES: Record<Language, string> = { en: 'English', zh: '中文' }
const KEPT = 'kinema.language'

function preferred(): Language {
  try {
    const kept = localStorage.getItem(KEPT)
    if (kept === 'en' || kept === 'zh') return kept
  } catch {
    // storage is forbidden: the browser's language
  }
  return globalThis.navigator.language.startsWith('zh') ? 'zh' : 'en'
}

class Translator {
  language = $state<Language>('en')
  #messages = $state.raw<Messages>(en)

  /** Use the reader's language; English is at hand, others are loaded. */
  async start(): Promise<void> {
    await this.#load(preferred())
  }

  async choose(language: Language): Promise<void> {
    await this.#load(language)
    try {
      localStorage.setItem(KEPT, language)
    } catch {
      // for this page alone
    }
  }

  /** The text as it is written, places for values included. */
  raw(key: Key): string {
    const [page, name] = key.split('.', 2) as [keyof Messages, string]
    return (this.#messages[page] as Record<string, string>)[name] ?? key
  }

  async #load(language: Language): Promise<void> {
    this.#messages = language === 'zh' ? (await import('./zh')).default : en
    this.language = language
    document.documentElement.lang = language === 'zh' ? 'zh-Hans' : 'en'
  }
}

export const translator = new Translator()

/**
 * A text in the reader's language with its values: `{name}` is replaced; `{n|clip|clips}` writes one or several.
 *
 * @example t('common.clips', { n: 2 }) // "{n} {n|clip|clips}" -> "2 clips"
 */
export function t(key: Key, params: Params = {}): string {
  return fill(translator.raw(key), params)
}

/** The same on a text of its own. */
export function fill(text: string, params: Params): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const value = params[name]
    if (value === undefined) return whole
    if (one === undefined || many === undefined) return String(value)
    return Number(value) === 1 ? one : many
  })
}

/** A text cut at one of its places, so that something else than text can stand there: a link, a poster. */
export function parts(key: Key, place: string, params: Params = {}): [string, string] {
  const [before = '', after = ''] = translator.raw(key).split(`{${place}}`, 2)
  return [fill(before, params), fill(after, params)]
}
