import { describe, expect, it } from 'vitest'
import { Watching, type Watched } from './watching'

function viewing() {
  const told: Watched[] = []
  return { told, watching: new Watching((one) => told.push(one)) }
}

function play(watching: Watching, from: number, to: number, length = 6000) {
  for (let place = from; place <= to; place += 250) watching.at(place, length)
}

describe('Watching', () => {
  it('tells a viewing once, at its first end', () => {
    const { told, watching } = viewing()
    play(watching, 0, 6000)
    watching.end()
    watching.end()
    watching.leave()
    expect(told).toEqual([{ watchMs: 6000, durationMs: 6000, completed: true }])
  })

  it('takes the beginning of a loop for the end', () => {
    const { told, watching } = viewing()
    play(watching, 0, 5750)
    play(watching, 0, 3000)
    expect(told).toEqual([{ watchMs: 5750, durationMs: 6000, completed: true }])
  })

  it('tells how much was watched of a clip that is left', () => {
    const { told, watching } = viewing()
    play(watching, 0, 2000)
    watching.leave()
    expect(told).toEqual([{ watchMs: 2000, durationMs: 6000, completed: false }])
  })

  it('does not take a beginning of which the length is not known yet for an end', () => {
    const { told, watching } = viewing()
    watching.at(0, NaN)
    watching.at(20, NaN)
    play(watching, 250, 1000)
    expect(told).toEqual([])
  })

  it('does not count jumps', () => {
    const { told, watching } = viewing()
    play(watching, 0, 1000)
    watching.jump(5000)
    play(watching, 5000, 5500)
    watching.leave()
    expect(told).toEqual([{ watchMs: 1500, durationMs: 6000, completed: false }])
  })

  it('says nothing of a clip that was passed by', () => {
    const { told, watching } = viewing()
    play(watching, 0, 500)
    watching.leave()
    expect(told).toEqual([])
  })

  it('begins anew after it was left', () => {
    const { told, watching } = viewing()
    play(watching, 0, 6000)
    watching.end()
    watching.leave()
    play(watching, 0, 6000)
    watching.end()
    expect(told).toHaveLength(2)
  })

  it('counts from where it began to play, before the player first tells a place', () => {
    const told: Watched[] = []
    const watching = new Watching((watched) => told.push(watched))
    watching.begin(0)
    watching.at(1200, 5000)
    watching.begin(1200)
    watching.leave()
    expect(told.map((one) => one.watchMs)).toEqual([1200])
  })
})
