import { Graphics } from "pixi.js";
import { cellToBoundary, cellToParent, getHexagonEdgeLengthAvg, gridDisk, latLngToCell, UNITS } from "h3-js";
import type { WatchedCell } from "@starling-vr/client";
import type { Camera } from "./camera";
import { mix, type Palette } from "./palette";
import type { Point, Projection } from "./projection";

const mostGridCells = 330;

/** The hexagons: a faint grid everywhere, watched cells filled by how many are in them. */
export class CellLayer {
  readonly grid = new Graphics();
  readonly watched = new Graphics();
  readonly marks = new Graphics();
  #boundaries = new Map<string, Point[]>();
  #gridKey = "";
  #watchedKey = "";
  #marksKey = "";

  constructor(
    private readonly projection: Projection,
    private readonly resolution: number,
  ) {}

  draw(camera: Camera, palette: Palette, cells: ReadonlyMap<bigint, WatchedCell>, own: bigint, pointed: string): void {
    for (const layer of [this.grid, this.watched, this.marks]) {
      layer.scale.set(camera.zoom, -camera.zoom);
      layer.position.set(camera.screenX(0), camera.screenY(0));
    }
    const stroke = Number(camera.zoom.toPrecision(2));
    this.#drawGrid(camera, palette, stroke);
    this.#drawWatched(palette, cells, stroke);
    this.#drawMarks(palette, own, pointed, cells, stroke);
  }

  /** The cell of a position, as H3 writes it. */
  at(position: { latitude: number; longitude: number }): string {
    return latLngToCell(position.latitude, position.longitude, this.resolution);
  }

  #drawGrid(camera: Camera, palette: Palette, stroke: number): void {
    const metres = Math.hypot(camera.width, camera.height) / 2 / camera.zoom;
    let resolution = this.resolution;
    let rings = 0;
    for (; resolution >= 0; resolution--) {
      rings = Math.ceil(metres / (getHexagonEdgeLengthAvg(resolution, UNITS.m) * 1.6)) + 1;
      if (3 * rings * (rings + 1) + 1 <= mostGridCells) break;
    }
    const { latitude, longitude } = this.projection.position(camera.plane(camera.width / 2, camera.height / 2));
    const middle = latLngToCell(latitude, longitude, Math.max(0, resolution));
    const key = `${middle}:${rings}:${stroke}:${palette.grid}`;
    if (key === this.#gridKey) return;
    this.#gridKey = key;
    this.grid.clear();
    const disk = gridDisk(middle, rings);
    this.#outline(disk);
    this.grid.stroke({ width: 1 / stroke, color: palette.grid });
    if (resolution !== this.resolution) return;
    this.#outline(new Set(disk.map((id) => cellToParent(id, Math.max(0, resolution - 3)))));
    this.grid.stroke({ width: 2.5 / stroke, color: palette.grid });
  }

  /** Adds the edges of cells to the grid, each once. */
  #outline(ids: Iterable<string>): void {
    const drawn = new Set<string>();
    for (const id of ids) {
      const corners = this.#boundary(id);
      corners.forEach((a, i) => {
        const b = corners[(i + 1) % corners.length]!;
        const key = `${Math.round(a.x + b.x)}:${Math.round(a.y + b.y)}`; // its middle, to half a metre
        if (drawn.has(key)) return;
        drawn.add(key);
        this.grid.moveTo(a.x, a.y).lineTo(b.x, b.y);
      });
    }
  }

  #drawWatched(palette: Palette, cells: ReadonlyMap<bigint, WatchedCell>, stroke: number): void {
    let key = `${stroke}:${palette.cell}`;
    for (const cell of cells.values()) key += `|${cell.id}:${level(cell)}`;
    if (key === this.#watchedKey) return;
    this.#watchedKey = key;
    this.watched.clear();
    for (const cell of cells.values()) {
      const part = level(cell) / 12;
      this.watched.poly(this.#boundary(hexadecimal(cell.id)));
      this.watched.fill({ color: mix(palette.cell, palette.cellFull, part) });
      this.watched.stroke({ width: 1 / stroke, color: palette.cellLine });
    }
  }

  #drawMarks(palette: Palette, own: bigint, pointed: string, cells: ReadonlyMap<bigint, WatchedCell>, stroke: number): void {
    const ring = own ? gridDisk(hexadecimal(own), 1).filter((id) => cells.has(BigInt(`0x${id}`))) : [];
    const key = `${stroke}:${palette.own}:${own}:${pointed}:${ring.length}`;
    if (key === this.#marksKey) return;
    this.#marksKey = key;
    this.marks.clear();
    for (const id of ring) this.marks.poly(this.#boundary(id));
    if (ring.length) this.marks.stroke({ width: 1.5 / stroke, color: palette.own, alpha: 0.22 });
    if (own) {
      this.marks.poly(this.#boundary(hexadecimal(own)));
      this.marks.fill({ color: palette.own, alpha: 0.05 });
      this.marks.stroke({ width: 2 / stroke, color: palette.own, alpha: 0.85 });
    }
    if (pointed) {
      this.marks.poly(this.#boundary(pointed));
      this.marks.stroke({ width: 1.5 / stroke, color: palette.flock[1]!, alpha: 0.8 });
    }
  }

  #boundary(id: string): Point[] {
    let corners = this.#boundaries.get(id);
    if (!corners) {
      corners = cellToBoundary(id).map(([latitude, longitude]) => this.projection.point(latitude, longitude));
      if (this.#boundaries.size > 5000) this.#boundaries.clear();
      this.#boundaries.set(id, corners);
    }
    return corners;
  }
}

/** How full a cell is, in steps 0..12 on a root scale. */
function level(cell: WatchedCell): number {
  return Math.min(12, Math.round(Math.sqrt(cell.entities.size) * 1.3));
}

export function hexadecimal(cell: bigint): string {
  return cell.toString(16);
}
