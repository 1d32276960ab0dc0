import { Rectangle, Texture } from "pixi.js";

/** Textures of one atlas, white, to be tinted. */
export interface Shapes {
  bird: Texture;
  resting: Texture;
  wake: Texture;
  thing: Texture;
  halo: Texture;
}

const size = 64;

/** Draws the atlas. Birds point to the right. */
export function drawShapes(): Shapes {
  const canvas = document.createElement("canvas");
  canvas.width = size * 5;
  canvas.height = size;
  const pen = canvas.getContext("2d")!;
  pen.fillStyle = "#fff";
  at(pen, 0, bird);
  at(pen, 1, resting);
  at(pen, 2, wake);
  at(pen, 3, thing);
  at(pen, 4, halo);
  const { source } = Texture.from(canvas);
  source.autoGenerateMipmaps = true;
  source.scaleMode = "linear";
  const part = (i: number) => new Texture({ source, frame: new Rectangle(i * size, 0, size, size) });
  return { bird: part(0), resting: part(1), wake: part(2), thing: part(3), halo: part(4) };
}

function at(pen: CanvasRenderingContext2D, index: number, draw: (pen: CanvasRenderingContext2D) => void): void {
  pen.save();
  pen.translate(size * index + size / 2, size / 2);
  draw(pen);
  pen.restore();
}

function bird(pen: CanvasRenderingContext2D): void {
  pen.beginPath();
  pen.moveTo(27, 0);
  pen.bezierCurveTo(22, -5, 17, -6, 12, -6);
  pen.bezierCurveTo(9, -16, 0, -25, -16, -30);
  pen.bezierCurveTo(-10, -20, -11, -11, -7, -5);
  pen.lineTo(-24, -5);
  pen.lineTo(-18, 0);
  pen.lineTo(-24, 5);
  pen.lineTo(-7, 5);
  pen.bezierCurveTo(-11, 11, -10, 20, -16, 30);
  pen.bezierCurveTo(0, 25, 9, 16, 12, 6);
  pen.bezierCurveTo(17, 6, 22, 5, 27, 0);
  pen.fill();
}

function resting(pen: CanvasRenderingContext2D): void {
  pen.beginPath();
  pen.ellipse(0, 0, 15, 9, 0, 0, 2 * Math.PI);
  pen.fill();
}

function wake(pen: CanvasRenderingContext2D): void {
  const fade = pen.createLinearGradient(-30, 0, 28, 0);
  fade.addColorStop(0, "rgba(255,255,255,0)");
  fade.addColorStop(1, "rgba(255,255,255,.55)");
  pen.fillStyle = fade;
  pen.beginPath();
  pen.moveTo(28, -5);
  pen.lineTo(-30, 0);
  pen.lineTo(28, 5);
  pen.fill();
}

function thing(pen: CanvasRenderingContext2D): void {
  pen.beginPath();
  pen.arc(0, 0, 20, 0, 2 * Math.PI);
  pen.fill();
  pen.globalCompositeOperation = "destination-out";
  pen.beginPath();
  pen.arc(-6, -6, 5, 0, 2 * Math.PI);
  pen.globalAlpha = 0.55;
  pen.fill();
}

function halo(pen: CanvasRenderingContext2D): void {
  const glow = pen.createRadialGradient(0, 0, 6, 0, 0, 31);
  glow.addColorStop(0, "rgba(255,255,255,.5)");
  glow.addColorStop(1, "rgba(255,255,255,0)");
  pen.fillStyle = glow;
  pen.fillRect(-32, -32, 64, 64);
}
