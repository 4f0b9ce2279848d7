// The score of the last frames over time, with the warn and the alarm level.

import {figure} from "./dom.js";

// A pen for an empty canvas, its size in pixels of the page, and the colours of the stylesheet.
export function preparedPen(canvas) {
  const style = getComputedStyle(document.body);
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  return {pen, width, height, ink: (name) => style.getPropertyValue(name).trim()};
}

export function drawChart(canvas, points, levels) {
  const {pen, width, height, ink: colour} = preparedPen(canvas);
  if (width === 0) return;
  const shown = points.filter((point) => point[1] !== null);
  if (!shown.length) {
    pen.fillStyle = colour("--faint");
    pen.fillText("No scores yet.", 8, 20);
    return;
  }
  const box = {left: 46, right: width - 8, top: 10, bottom: height - 22};
  const range = chartRange(shown, levels);
  const first = shown[0][0], last = Math.max(shown[shown.length - 1][0], first + 1);
  const x = (time) => box.left + (time - first) / (last - first) * (box.right - box.left);
  const y = (score) => box.bottom - (score - range.low) / (range.high - range.low) * (box.bottom - box.top);
  drawGrid(pen, box, range, y, colour);
  drawTimes(pen, box, first, last, x, colour);
  drawLine(pen, shown, x, y, colour("--score"));
  for (const [name, level] of Object.entries(levels)) {
    if (level !== null && level !== undefined) drawLevel(pen, box, y(level), name, level, colour(`--${name}`));
  }
  for (const point of shown) {
    if (point[2]) drawMark(pen, x(point[0]), y(point[1]), colour(`--${point[2]}`));
  }
}

function chartRange(points, levels) {
  const values = points.map((point) => point[1]);
  for (const level of Object.values(levels)) if (level !== null && level !== undefined) values.push(level);
  let low = Math.min(...values), high = Math.max(...values);
  const margin = (high - low || Math.abs(high) || 1) * 0.08;
  return {low: low - margin, high: high + margin};
}

function niceStep(span, count) {
  const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

function drawGrid(pen, box, range, y, colour) {
  const step = niceStep(range.high - range.low, 4);
  pen.lineWidth = 1;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (let value = Math.ceil(range.low / step) * step; value <= range.high; value += step) {
    pen.strokeStyle = colour("--line");
    pen.beginPath();
    pen.moveTo(box.left, Math.round(y(value)) + .5);
    pen.lineTo(box.right, Math.round(y(value)) + .5);
    pen.stroke();
    pen.fillStyle = colour("--faint");
    pen.fillText(String(Number(value.toPrecision(6))), box.left - 6, y(value));
  }
}

function drawTimes(pen, box, first, last, x, colour) {
  const count = Math.max(2, Math.floor((box.right - box.left) / 130));
  pen.fillStyle = colour("--faint");
  pen.textBaseline = "top";
  for (let number = 0; number < count; number++) {
    const time = first + (last - first) * number / (count - 1);
    pen.textAlign = number === 0 ? "left" : number === count - 1 ? "right" : "center";
    pen.fillText(clockTime(time), x(time), box.bottom + 6);
  }
}

function drawLevel(pen, box, at, name, level, colour) {
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = 2;
  pen.setLineDash([7, 5]);
  pen.beginPath();
  pen.moveTo(box.left, at);
  pen.lineTo(box.right, at);
  pen.stroke();
  pen.setLineDash([]);
  pen.textAlign = "left";
  const label = `${name} ${figure(level)}`, top = at + (name === "warn" ? 3 : -17);
  pen.globalAlpha = .85;
  pen.fillStyle = getComputedStyle(document.body).getPropertyValue("--card");
  pen.fillRect(box.left + 3, top - 1, pen.measureText(label).width + 6, 15);
  pen.globalAlpha = 1;
  pen.fillStyle = colour;
  pen.textBaseline = "top";
  pen.fillText(label, box.left + 6, top);
}

function drawLine(pen, points, x, y, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.beginPath();
  let before = null;
  for (const [time, score] of points) {
    // A gap in the inspection is a gap in the line.
    if (before === null || time - before > gapS(points)) pen.moveTo(x(time), y(score));
    else pen.lineTo(x(time), y(score));
    before = time;
  }
  pen.stroke();
}

function gapS(points) {
  if (points.length < 3) return Infinity;
  return Math.max(5, 10 * (points[points.length - 1][0] - points[0][0]) / points.length);
}

function drawMark(pen, x, y, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, 3.5, 0, 2 * Math.PI);
  pen.fill();
}

function clockTime(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], {hour12: false});
}
