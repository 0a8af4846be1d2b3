/** Hand a value to the reader as a JSON file; the name it was given. */
export function saveJson(value: unknown, id: string): string {
  const name = `${fileName(id)}.json`
  const address = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000) // browsers read it after the click
  return name
}

/** An id as part of a file name: letters and digits of any language, and what no system forbids. */
export function fileName(id: string): string {
  return id.replace(/[^\p{L}\p{N}._-]+/gu, '_').replace(/^\.+/, '') || 'user'
}
