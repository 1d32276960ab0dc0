import type { Camera } from "../map/camera";
import type { Point } from "../map/projection";

export interface PointerListener {
  clicked(screen: Point): void;
  hovered(screen: Point | undefined): void;
  /** The map was dragged. */
  dragged(): void;
}

/** Mouse, pen and fingers on the map: click, drag, wheel, pinch. */
export function listenToPointer(canvas: HTMLCanvasElement, camera: Camera, listener: PointerListener): void {
  const down = new Map<number, Point>();
  let travelled = 0;

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 1) travelled = 0;
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") listener.hovered({ x: event.clientX, y: event.clientY });
      return;
    }
    const other = [...down.entries()].find(([id]) => id !== event.pointerId)?.[1];
    travelled += Math.hypot(event.clientX - before.x, event.clientY - before.y);
    if (other) {
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      if (was > 0) camera.zoomBy(is / was, { x: (event.clientX + other.x) / 2, y: (event.clientY + other.y) / 2 });
    } else if (travelled > 5) {
      camera.panBy(event.clientX - before.x, event.clientY - before.y);
      listener.dragged();
    }
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });

  canvas.addEventListener("pointerup", (event) => {
    const single = down.size === 1;
    if (down.delete(event.pointerId) && single && travelled <= 5) listener.clicked({ x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => listener.hovered(undefined));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
      camera.zoomBy(Math.exp(-pixels / 500), { x: event.clientX, y: event.clientY });
    },
    { passive: false },
  );
}
