export type Theme = 'system' | 'light' | 'dark'

const KEY = 'kinema.theme'
const dark = globalThis.matchMedia('(prefers-color-scheme: dark)')

/** Light or dark. Kept as bare text, because `theme.js` reads it before the first paint. */
class ThemeState {
  chosen = $state<Theme>('system')
  #system = $state(dark.matches)

  constructor() {
    const kept = document.documentElement.dataset['theme']
    if (kept === 'light' || kept === 'dark') this.chosen = kept
    dark.addEventListener('change', () => (this.#system = dark.matches))
  }

  /** What is on the screen; charts redraw with it. */
  get shown(): 'light' | 'dark' {
    if (this.chosen !== 'system') return this.chosen
    return this.#system ? 'dark' : 'light'
  }

  choose(theme: Theme): void {
    this.chosen = theme
    if (theme === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = theme
    try {
      if (theme === 'system') localStorage.removeItem(KEY)
      else localStorage.setItem(KEY, theme)
    } catch {
      // for this page alone
    }
  }
}

export const theme = new ThemeState()
