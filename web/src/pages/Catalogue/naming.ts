/** `My_first-clip 2.mp4` -> `My first clip 2` */
export function titleOf(file: string): string {
  const words = file
    .replace(/\.[^.]+$/, '')
    .replace(/[_\-.\s]+/g, ' ')
    .trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** `My_first-clip 2.mp4` -> `my-first-clip-2`; letters of any language. */
export function idOf(file: string): string {
  const words = file
    .replace(/\.[^.]+$/, '')
    .normalize('NFC')
    .toLowerCase()
  return (
    words
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 120) || 'clip'
  )
}

/** Ids for files, none of them twice. */
export function idsOf(files: readonly string[], taken: Iterable<string> = []): string[] {
  const there = new Set(taken)
  return files.map((file) => {
    const first = idOf(file)
    let id = first
    for (let number = 2; there.has(id); number += 1) id = `${first}-${number}`
    there.add(id)
    return id
  })
}

const ENDINGS = /\.(mp4|m4v|avi|flv|mkv|webm|mov|mpe?g|ts|wmv|ogv)$/i

/** Whether a file looks like a clip by its name; the service looks at its first bytes. */
export const looksLikeClip = (file: Pick<File, 'name' | 'type'>): boolean =>
  file.type.startsWith('video/') || ENDINGS.test(file.name)
