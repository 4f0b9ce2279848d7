// Bars: the alarms of each hour, or how many normal frames have a score.

import {preparedPen} from "./chart.js";

// Each bar has a value, a label, and whether nothing was counted; `marks` are lines at a place
// between 0 and the number of bars.
export function drawBars(canvas, bars, {colour, what, marks = []}) {
  const {pen, width, height, ink} = preparedPen(canvas);
  if (width === 0) return;
  const box = {left: 6, right: width - 6, top: 20, bottom: height - 22};
  const highest = Math.max(1, ...bars.map((bar) => bar.value));
  const step = (box.right - box.left) / bars.length;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  const every = Math.ceil(44 / step);
  bars.forEach((bar, number) => {
    const x = box.left + number * step, tall = (box.bottom - box.top) * bar.value / highest;
    pen.fillStyle = ink(bar.idle ? "--line" : colour);
    pen.globalAlpha = bar.idle ? .6 : 1;
    pen.fillRect(x + 1, box.bottom - Math.max(tall, 2), Math.max(1, step - 2), Math.max(tall, 2));
    pen.globalAlpha = 1;
    if (number % every === 0) { pen.fillStyle = ink("--faint"); pen.fillText(bar.label, x + step / 2, box.bottom + 6); }
    if (bar.value && step > 18) { pen.fillStyle = ink("--ink"); pen.fillText(String(bar.value), x + step / 2, box.bottom - tall - 15); }
  });
  for (const mark of marks) {
    const x = box.left + mark.at * step;
    pen.strokeStyle = pen.fillStyle = ink(mark.colour);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x, 4);
    pen.lineTo(x, box.bottom);
    pen.stroke();
    pen.textAlign = x > width / 2 ? "right" : "left";
    pen.fillText(mark.label, x + (x > width / 2 ? -6 : 6), 4);
    pen.textAlign = "center";
  }
  canvas.setAttribute("aria-label", `${what}: ${bars.filter((bar) => bar.value).map((bar) => `${bar.label} ${bar.value}`).join(", ") || "none"}`);
}
