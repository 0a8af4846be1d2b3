/** The tokens a chart draws with, read off the page, so that light and dark come from one place. */
export interface ChartTokens {
  ink: string
  ink2: string
  ink3: string
  line: string
  surface: string
  raised: string
  colours: string[]
  font: string
  /** Pixels of the text beside axes. */
  size: number
}

const NAMES = ['ink', 'ink-2', 'ink-3', 'line', 'surface', 'raised'] as const
const NUM_COLOURS = 8

/** A token as a plain colour: `light-dark()` and `color-mix()` are worked out by the browser. */
export function colourOf(token: string, beside: Element = document.body): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${token})`
  beside.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

export function readTokens(beside: Element): ChartTokens {
  const [ink, ink2, ink3, line, surface, raised] = NAMES.map((name) => colourOf(`--${name}`, beside))
  const root = parseFloat(getComputedStyle(document.documentElement).fontSize)
  return {
    ink: ink ?? '',
    ink2: ink2 ?? '',
    ink3: ink3 ?? '',
    line: line ?? '',
    surface: surface ?? '',
    raised: raised ?? '',
    colours: Array.from({ length: NUM_COLOURS }, (_, place) => colourOf(`--k${place + 1}`, beside)),
    font: getComputedStyle(beside).fontFamily,
    size: Math.round(root * 0.6875),
  }
}

/** The one style of every chart: no frame, faint horizontal lines, small grey numbers, colour for data alone. */
export function chartTheme(tokens: ChartTokens): Record<string, unknown> {
  const text = { color: tokens.ink3, fontFamily: tokens.font, fontSize: tokens.size }
  const axis = {
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: text,
    nameTextStyle: text,
    splitLine: { lineStyle: { color: tokens.line, width: 1 } },
  }
  return {
    color: tokens.colours,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: tokens.font, color: tokens.ink2 },
    grid: { left: 4, right: 8, top: 16, bottom: 4, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    valueAxis: axis,
    logAxis: axis,
    timeAxis: { ...axis, splitLine: { show: false } },
    categoryAxis: { ...axis, splitLine: { show: false } },
    legend: {
      textStyle: { ...text, color: tokens.ink2 },
      icon: 'roundRect',
      itemWidth: 10,
      itemHeight: 10,
      itemGap: 16,
      left: 0,
      top: 0,
    },
    tooltip: {
      backgroundColor: tokens.raised,
      borderColor: tokens.line,
      borderWidth: 1,
      padding: [8, 12],
      textStyle: { color: tokens.ink, fontFamily: tokens.font, fontSize: tokens.size + 1 },
      extraCssText: 'border-radius: 10px; box-shadow: var(--shadow-2)',
      confine: true,
      axisPointer: { lineStyle: { color: tokens.ink3, width: 1 }, crossStyle: { color: tokens.ink3 } },
    },
    line: { symbol: 'none', lineStyle: { width: 2 }, smooth: false },
    bar: { itemStyle: { borderRadius: [3, 3, 0, 0] }, barMaxWidth: 28 },
    scatter: { itemStyle: { opacity: 0.8 } },
  }
}
