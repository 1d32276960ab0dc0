/** Colours of the map; those of the page are in style.css. */
export interface Palette {
  ground: number;
  grid: number;
  cell: number;
  cellFull: number;
  cellLine: number;
  own: number;
  things: number;
  flock: readonly number[];
}

const dark: Palette = {
  ground: 0x0b0e16,
  grid: 0x1b2233,
  cell: 0x141a2a,
  cellFull: 0x242f52,
  cellLine: 0x2e3a58,
  own: 0xffb84d,
  things: 0xff6f61,
  flock: [0x7fd8cb, 0x86b6ff, 0xb59cff, 0xe39bdc, 0xa8e0a0, 0xcfd8ee],
};

const light: Palette = {
  ground: 0xf4f0e6,
  grid: 0xe0d8c5,
  cell: 0xf1ebdb,
  cellFull: 0xe8dcb9,
  cellLine: 0xcdbf9c,
  own: 0xd9480f,
  things: 0xc2255c,
  flock: [0x12616b, 0x2a4a9c, 0x5a3a9e, 0x8c2f7c, 0x2f6b35, 0x2c3445],
};

export function palette(isDark: boolean): Palette {
  return isDark ? dark : light;
}

/** A colour between two, part 0..1. */
export function mix(a: number, b: number, part: number): number {
  const channel = (shift: number) => {
    const from = (a >> shift) & 0xff;
    return Math.round(from + (((b >> shift) & 0xff) - from) * part) << shift;
  };
  return channel(16) | channel(8) | channel(0);
}
