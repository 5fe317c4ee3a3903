export interface LinePlot {
  readonly title: string;
  /** What the axes show. */
  readonly x: string;
  readonly y: string;
  readonly lines: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[];
}

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 64;
const RIGHT = 24;
const TOP = 56;
const BOTTOM = 52;
const COLOURS = ["#9a6700", "#0969da", "#1a7f37", "#8250df"];

/** An SVG drawing, readable on light and dark pages. Both axes begin at 0. */
export function linePlot({ title, x, y, lines }: LinePlot): string {
  const all = lines.flatMap(({ points }) => points);
  const xTop = niceTop(Math.max(...all.map(([at]) => at)));
  const yTop = niceTop(Math.max(...all.map(([, value]) => value)));
  const px = (at: number): string => (LEFT + (at / xTop.top) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const py = (value: number): string => (HEIGHT - BOTTOM - (value / yTop.top) * (HEIGHT - TOP - BOTTOM)).toFixed(1);
  const grid = [
    ...steps(yTop).map(
      (value) =>
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(value)}" y2="${py(value)}" stroke="#8884"/>` +
        `<text x="${LEFT - 8}" y="${py(value)}" text-anchor="end" dominant-baseline="middle">${label(value)}</text>`,
    ),
    ...steps(xTop).map(
      (at) => `<text x="${px(at)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label(at)}</text>`,
    ),
  ];
  const drawn = lines.map(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const path = points.map(([at, value]) => `${px(at)},${py(value)}`).join(" ");
    const dots = points.map(([at, value]) => {
      const tip = `<title>${label(at)} ${x}: ${label(Math.round(value))} ${y}</title>`;
      return `<circle cx="${px(at)}" cy="${py(value)}" r="3.5" fill="${colour}">${tip}</circle>`;
    });
    const legend = `<text x="${LEFT + 12}" y="${TOP + 16 + index * 18}" fill="${colour}" font-weight="600">${name}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join("")}${legend}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}" font-family="system-ui, sans-serif" font-size="12" fill="#777">`,
    `<text x="${LEFT}" y="24" font-size="15" font-weight="600">${title}</text>`,
    ...grid,
    ...drawn,
    `<text x="${LEFT - 8}" y="${TOP - 12}" text-anchor="end">${y}</text>`,
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 10}" text-anchor="end">${x}</text>`,
    "</svg>",
    "",
  ].join("\n");
}

interface Axis {
  readonly top: number;
  readonly step: number;
}

/** The next round number above, in four to six steps. */
function niceTop(most: number): Axis {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  return { top: Math.ceil(most / step) * step, step };
}

function steps({ top, step }: Axis): number[] {
  return Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
}

function label(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+(?!\d))/g, " ");
}
