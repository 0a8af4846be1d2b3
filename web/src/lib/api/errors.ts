/** What the service says when it cannot do what was asked; every error of the console has this shape. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 where no answer came. */
    readonly status: number,
    /** For programs: `not_found`, `invalid`, ... ; `offline` where no answer came. */
    readonly code: string,
    message: string,
    /** The field it is about. */
    readonly field: string | null = null,
    /** Milliseconds after which to come again, where the service says so. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message)
    this.name = 'ApiError'
  }

  /** No answer came at all: the service is away or the network is. */
  get isOffline(): boolean {
    return this.status === 0
  }
}

interface Problem {
  error: { code: string; message: string; field?: string | null }
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null || !('error' in value)) return false
  const { error } = value
  return typeof error === 'object' && error !== null && 'message' in error && 'code' in error
}

/** The error of an answer that is none; what is not in the service's own form (a proxy's page) keeps its status. */
export async function errorOf(response: Response): Promise<ApiError> {
  const seconds = Number(response.headers.get('Retry-After'))
  const wait = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null)
  if (isProblem(body)) {
    return new ApiError(response.status, body.error.code, body.error.message, body.error.field ?? null, wait)
  }
  return new ApiError(
    response.status,
    'unexpected',
    `HTTP ${response.status} ${response.statusText}`.trim(),
    null,
    wait,
  )
}

/** Whatever was thrown, as an error of ours. An aborted request stays what it is. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  if (thrown instanceof TypeError) return new ApiError(0, 'offline', 'The service does not answer')
  return new ApiError(0, 'unexpected', thrown instanceof Error ? thrown.message : String(thrown))
}

/** The request was given up by ourselves: nothing to tell anybody. */
export function isAborted(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'AbortError'
}
