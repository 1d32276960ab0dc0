/** Draws latencies as bars, with a line at the deadline; what missed it stands out. */
export function drawSparkline(canvas: HTMLCanvasElement, values: readonly number[], deadlineMs: number): void {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const top = Math.max(deadlineMs * 1.4, Math.min(deadlineMs * 4, ...[Math.max(0, ...values) * 1.1]));
  const bar = 4;
  const y = (ms: number) => height - Math.min(1, ms / top) * (height - 2);
  values.slice(-Math.floor(width / bar)).forEach((ms, i, all) => {
    pen.fillStyle = style.getPropertyValue(ms > deadlineMs ? "--miss" : "--accent-2");
    const x = width - (all.length - i) * bar;
    pen.fillRect(x, y(ms), bar - 1, height - y(ms));
  });
  pen.strokeStyle = style.getPropertyValue("--muted");
  pen.setLineDash([3, 3]);
  pen.beginPath();
  pen.moveTo(0, y(deadlineMs) + 0.5);
  pen.lineTo(width, y(deadlineMs) + 0.5);
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = style.getPropertyValue("--muted");
  pen.font = `10px ${style.fontFamily}`;
  pen.fillText(`D = ${deadlineMs} ms`, 2, y(deadlineMs) - 4);
}
