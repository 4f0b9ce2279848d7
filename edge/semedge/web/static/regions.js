// What is left out of the camera's frames: rectangles that are drawn on its picture.

import {$, counted, make, makeButton, notify, write} from "./dom.js";
import {askForToken, isEngineer, requestChange} from "./access.js";
import {station} from "./station.js";

const SHORTEST_DRAG = 5; // pixels of the screen, below which a touch draws nothing
let camera = null, known = null, rectangles = [], begun = null;

async function open() {
  if (!isEngineer()) { askForToken(() => { if (isEngineer()) open(); else notify("Regions need the engineer's token.", true); }); return; }
  camera = station.camera;
  const name = encodeURIComponent(camera);
  try {
    const answer = await fetch(`api/regions?camera=${name}`);
    const result = await answer.json();
    if (!answer.ok) { notify(result.detail, true); return; }
    known = result;
  } catch { notify("The station did not answer.", true); return; }
  rectangles = known.leave_out_px;
  begun = null;
  const [left, top, width, height] = known.shown_px;
  $("regions-view").style.setProperty("--ratio", width / height);
  $("regions-drawing").setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
  $("regions-picture").src = `live/${name}/plain.jpg?at=${Date.now()}`;
  $("regions-masked").hidden = !known.masked;
  $("regions-problem").hidden = true;
  draw();
  if (!$("regions-dialog").open) $("regions-dialog").showModal();
}

function draw(drawn) {
  const all = drawn ? [...rectangles, drawn] : rectangles, reach = known.reach_px;
  const shapes = all.flatMap(([left, top, width, height]) => [
    ["reach", left - reach, top - reach, width + 2 * reach, height + 2 * reach],
    ["left-out", left, top, width, height],
  ]);
  $("regions-drawing").replaceChildren(...shapes.map(([name, x, y, width, height]) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({class: name, x, y, width, height})) shape.setAttribute(key, value);
    return shape;
  }));
  if (drawn) return;
  write($("regions-count"), rectangles.length ? `${counted(rectangles.length, "rectangle")} left out:` : "Nothing is left out.");
  $("regions-list").replaceChildren(...rectangles.map(listed));
}

function listed(rectangle, at) {
  const [left, top, width, height] = rectangle;
  const text = `${width} × ${height} px at x ${left}, y ${top}`;
  const button = makeButton("Remove", () => { rectangles = rectangles.filter((each) => each !== rectangle); draw(); });
  button.setAttribute("aria-label", `Remove rectangle ${at + 1}, ${text}`);
  const item = make("li");
  item.append(make("span", text), button);
  return item;
}

// The point of the whole frame under the pointer, inside the picture.
function place(event) {
  const box = $("regions-drawing").getBoundingClientRect();
  const [left, top, width, height] = known.shown_px;
  const share = (at, from, length) => Math.min(1, Math.max(0, (at - from) / length));
  return {
    x: left + share(event.clientX, box.x, box.width) * width,
    y: top + share(event.clientY, box.y, box.height) * height,
  };
}

function rectangleTo(event) {
  const from = begun, to = place(event);
  const left = Math.floor(Math.min(from.x, to.x)), top = Math.floor(Math.min(from.y, to.y));
  return [left, top, Math.ceil(Math.max(from.x, to.x)) - left, Math.ceil(Math.max(from.y, to.y)) - top];
}

function isLong(event) {
  return Math.abs(event.clientX - begun.clientX) >= SHORTEST_DRAG && Math.abs(event.clientY - begun.clientY) >= SHORTEST_DRAG;
}

async function save() {
  const answer = await requestChange({action: "regions", camera, leave_out_px: rectangles});
  if (answer !== null) { $("regions-dialog").close(); return; }
  // The page's notice lies below the dialog.
  write($("regions-problem"), $("notice").textContent);
  $("regions-problem").hidden = false;
}

export function startRegions() {
  const drawing = $("regions-drawing");
  $("edit-regions").onclick = open;
  $("regions-cancel").onclick = () => $("regions-dialog").close();
  $("regions-save").onclick = save;
  drawing.onpointerdown = (event) => {
    if (event.button !== 0) return;
    drawing.setPointerCapture(event.pointerId);
    begun = {...place(event), clientX: event.clientX, clientY: event.clientY};
  };
  drawing.onpointermove = (event) => { if (begun !== null) draw(rectangleTo(event)); };
  drawing.onpointerup = (event) => {
    if (begun === null) return;
    if (isLong(event)) rectangles = [...rectangles, rectangleTo(event)];
    begun = null;
    draw();
  };
  drawing.onpointercancel = () => { begun = null; draw(); };
}
