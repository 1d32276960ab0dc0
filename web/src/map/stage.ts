import "pixi.js/unsafe-eval"; // shaders without code generation: the content security policy forbids it
import { Application, Container, type Renderer } from "pixi.js";
import type { Camera } from "./camera";
import type { CellLayer } from "./cells";
import type { Flock } from "./flock";
import type { Ripples } from "./ripples";

/** The WebGL canvas with its layers, drawn when the page says. */
export class Stage {
  private constructor(private readonly app: Application<Renderer>) {}

  static async open(canvas: HTMLCanvasElement): Promise<Stage> {
    const app = new Application<Renderer>();
    await app.init({
      canvas,
      preference: "webgl",
      antialias: !drawnInSoftware(),
      autoStart: false,
      autoDensity: true,
      resolution: Math.min(2, window.devicePixelRatio || 1),
      eventFeatures: { move: false, globalMove: false, click: false, wheel: false },
    });
    return new Stage(app);
  }

  compose(cells: CellLayer, flock: Flock, ripples: Ripples): void {
    const all = new Container();
    all.addChild(cells.grid, cells.watched, cells.marks, flock.wakes, flock.bodies, ripples.layer);
    all.eventMode = "none";
    this.app.stage.addChild(all);
  }

  resize(camera: Camera): void {
    this.app.renderer.resize(camera.width, camera.height);
  }

  draw(ground: number): void {
    this.app.renderer.background.color = ground;
    this.app.render();
  }
}

/** Without a GPU smoothing costs more than it shows. */
function drawnInSoftware(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  return !gl || /swiftshader|llvmpipe|software/i.test(String(names ? gl.getParameter(names.UNMASKED_RENDERER_WEBGL) : ""));
}
