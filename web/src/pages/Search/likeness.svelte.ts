import { kindOf } from './question'

/** A picture or a clip to search with; kept while the reader looks at what was found, gone with the window. */
class Likeness {
  file = $state.raw<File | null>(null)
  kind = $state<'image' | 'clip'>('image')
  /** Where the browser itself shows it from. */
  url = $state('')

  /** Search with a file. Returns whether it can be searched with. */
  take(file: File): boolean {
    const kind = kindOf(file)
    if (!kind) return false
    this.drop()
    this.kind = kind
    this.url = URL.createObjectURL(file)
    this.file = file
    return true
  }

  drop(): void {
    if (this.url) URL.revokeObjectURL(this.url)
    this.url = ''
    this.file = null
  }
}

export const likeness = new Likeness()
