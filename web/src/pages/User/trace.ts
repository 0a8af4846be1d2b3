import type { Schema } from '$lib/api/client'

type Step = Schema<'TraceOut'>

export interface Stage {
  key: string
  /** Of the stage, without its source. */
  stage: string
  /** Which source proposed, in a stage of retrieval. */
  source: string | null
  numIn: number
  numOut: number
  milliseconds: number
  /** What fell away, the most first. */
  removed: { reason: string; count: number }[]
  /** 0 to 1, by the logarithm of what came out: a slate of ten is seen beside a catalogue of a hundred thousand. */
  width: number
  detail: Step['detail']
}

/** What a rule did to an item of the slate; that it is pinned, its source says. */
export type Mark = 'varied' | 'new' | 'drawn'

const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : []

/** Stages as they are drawn. */
export function stagesOf(trace: readonly Step[]): Stage[] {
  const most = Math.max(1, ...trace.map((step) => Math.max(step.num_in, step.num_out)))
  return trace.map((step, place) => {
    const [stage = step.stage, source] = step.stage.split(':', 2)
    const removed = (step.detail['removed'] ?? {}) as Record<string, number>
    return {
      key: `${place}-${step.stage}`,
      stage,
      source: source ?? null,
      numIn: step.num_in,
      numOut: step.num_out,
      milliseconds: step.milliseconds,
      removed: Object.entries(removed)
        .map(([reason, count]) => ({ reason, count }))
        .sort((one, other) => other.count - one.count),
      width: Math.log1p(step.num_out) / Math.log1p(most),
      detail: step.detail,
    }
  })
}

export const totalMs = (trace: readonly Step[]): number => trace.reduce((sum, step) => sum + step.milliseconds, 0)

/** What the rules did to single items of the slate, from the details of the stages. */
export function marksOf(trace: readonly Step[]): Map<string, Mark[]> {
  const marks = new Map<string, Mark[]>()
  const mark = (item: string, what: Mark) => marks.set(item, [...(marks.get(item) ?? []), what])
  for (const { stage, detail } of trace) {
    if (stage === 'rerank') {
      texts(detail['lifted_in']).forEach((item) => mark(item, 'varied'))
      texts(detail['let_in_new']).forEach((item) => mark(item, 'new'))
    }
    if (stage === 'explore') texts(detail['drawn']).forEach((item) => mark(item, 'drawn'))
  }
  return marks
}
