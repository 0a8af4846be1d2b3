const HEX = 16

/** An id that nobody else has; made by hand because `randomUUID` exists only where TLS or loopback is. */
export function newId(prefix: string, numBytes = 12): string {
  const bytes = crypto.getRandomValues(new Uint8Array(numBytes))
  return prefix + Array.from(bytes, (byte) => byte.toString(HEX).padStart(2, '0')).join('')
}
