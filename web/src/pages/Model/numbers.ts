import type { Schema } from '$lib/api/client'

type Evaluated = Schema<'EvaluatedOut'>
type Measured = Schema<'MeasuredOut'>
export type Model = Schema<'ModelOut'>
type CurvePoint = Schema<'CurvePointOut'>

/** Which cases a bar is about: targets the model has learnt from, and ones it has not. */
export const ROWS = ['warm', 'cold'] as const
export type Row = (typeof ROWS)[number]

export interface Bars {
  name: string
  /** The model the report is about; who knows the right answers; everybody else. */
  kind: 'model' | 'ceiling' | 'baseline'
  warm: Measured | null
  cold: Measured | null
}

/** What of an evaluation can be drawn: its measures, in the order in which it names them. */
export function metricsOf(evaluated: Evaluated): string[] {
  return Object.keys(evaluated.rankers[0]?.rows['all']?.metrics ?? {})
}

/** A bar of warm and one of cold cases for each ranker: who knows the answers first, then the better ones. */
export function barsOf(evaluated: Evaluated, metric: string): Bars[] {
  const of = (ranker: Evaluated['rankers'][number], row: string) => ranker.rows[row]?.metrics[metric] ?? null
  const order = { ceiling: 0, model: 1, baseline: 1 }
  return evaluated.rankers
    .map((ranker) => {
      const kind: Bars['kind'] =
        ranker.name === evaluated.reference ? 'model' : ranker.name === evaluated.ceiling ? 'ceiling' : 'baseline'
      const all = of(ranker, 'all')?.mean ?? 0
      return { bars: { name: ranker.name, kind, warm: of(ranker, 'warm'), cold: of(ranker, 'cold') }, all }
    })
    .sort((one, other) => order[one.bars.kind] - order[other.bars.kind] || other.all - one.all)
    .map((one) => one.bars)
}

/** The longest bar, whiskers included. */
export function most(bars: readonly Bars[]): number {
  return Math.max(1e-9, ...bars.flatMap((one) => ROWS.map((row) => one[row]?.high ?? one[row]?.mean ?? 0)))
}

export interface Verdict {
  row: Row
  /** The best of the baselines on these cases. */
  rival: string
  mean: number
  low: number
  high: number
  isClear: boolean
}

/** The model against the best baseline on warm and on cold cases, where the evaluation has compared them. */
export function verdicts(evaluated: Evaluated, metric: string): Verdict[] {
  const bars = barsOf(evaluated, metric).filter((one) => one.kind === 'baseline')
  return ROWS.flatMap((row) => {
    const rival = [...bars].sort((one, other) => (other[row]?.mean ?? -1) - (one[row]?.mean ?? -1)).at(0)
    const found = evaluated.differences.find(
      (one) =>
        one.metric === metric && one.row === row && one.ranker === evaluated.reference && one.reference === rival?.name,
    )
    if (!rival || found?.mean == null || found.low === null || found.high === null) return []
    return [{ row, rival: rival.name, mean: found.mean, low: found.low, high: found.high, isClear: found.is_clear }]
  })
}

export interface Curve {
  name: string
  points: [number, number][]
}

/** A line for each name, of the epochs that have it. */
export function curves(points: readonly CurvePoint[], of: 'losses' | 'validation'): Curve[] {
  const names = [...new Set(points.flatMap((one) => Object.keys(one[of] ?? {})))]
  return names
    .filter((name) => !name.endsWith('_weight')) // what was chosen, not how good it is
    .map((name) => ({
      name,
      points: points.flatMap((one): [number, number][] => {
        const value = one[of]?.[name]
        return value === null || value === undefined ? [] : [[one.epoch, value]]
      }),
    }))
    .filter((one) => one.points.length > 0)
}

/** The columns of a task's training, without those that only count. */
export function taskCurves(points: readonly Record<string, number | null>[]): Curve[] {
  const names = [...new Set(points.flatMap((one) => Object.keys(one)))].filter(
    (name) => name !== 'epoch' && name !== 'seconds',
  )
  return names
    .map((name) => ({
      name,
      points: points.flatMap((one, place): [number, number][] => {
        const value = one[name]
        return value === null || value === undefined ? [] : [[one['epoch'] ?? place + 1, value]]
      }),
    }))
    .filter((one) => one.points.length > 0)
}

/** The number that stands for a version: NDCG@10 of all it can do together, else the best of its parts. */
export function scoreOf(model: Pick<Model, 'validation'>): number | null {
  const fused = model.validation['fused']
  if (fused !== undefined && fused !== null) return fused
  const all = Object.values(model.validation).filter((one) => one !== null)
  return all.length ? Math.max(...all) : null
}

/** `20261123T033012000-bf442367` -> `bf442367`: what tells versions apart when the moment stands beside it. */
export const shortId = (id: string) => id.split('-').at(-1) ?? id

export interface Change {
  name: string
  from: number | null
  to: number | null
}

/** In which counts of the data and branches of the validation two versions differ. */
export function changes(from: Model, to: Model): { validation: Change[]; data: Change[] } {
  const pairs = (one: Record<string, unknown>, other: Record<string, unknown>): Change[] =>
    [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((name) => {
      const numbers = [one[name], other[name]].map((value) => (typeof value === 'number' ? value : null))
      const [before = null, after = null] = numbers
      return name.endsWith('_ms') || before === after ? [] : [{ name, from: before, to: after }]
    })
  return { validation: pairs(from.validation, to.validation), data: pairs(from.data, to.data) }
}
