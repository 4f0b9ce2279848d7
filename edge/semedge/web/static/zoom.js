// A picture in full size, which can be magnified and moved.

import {$, write} from "./dom.js";

const LARGEST = 16, STEP = 1.5;
let scale = 1;

export function openPicture(address, description, caption) {
  scale = 1;
  $("big").style.width = "";
  $("big").src = address;
  $("big").alt = description;
  write($("big-caption"), caption);
  $("picture-dialog").showModal();
}

// Magnifies around a point of the window, which stays where it is.
function magnify(factor, x, y) {
  const box = $("zoom").getBoundingClientRect(), image = $("big").getBoundingClientRect();
  const at = {x: x ?? box.x + box.width / 2, y: y ?? box.y + box.height / 2};
  const place = {x: (at.x - image.x) / image.width, y: (at.y - image.y) / image.height};
  scale = Math.min(LARGEST, Math.max(1, scale * factor));
  // At the beginning the stylesheet fits the picture into the window.
  if (scale === 1) $("big").style.width = "";
  else $("big").style.width = `${fitted(box) * scale}px`;
  $("big").classList.toggle("magnified", scale > 1);
  const moved = $("big").getBoundingClientRect();
  $("zoom").scrollLeft += moved.x + place.x * moved.width - at.x;
  $("zoom").scrollTop += moved.y + place.y * moved.height - at.y;
}

function fitted(box) {
  const {naturalWidth: width, naturalHeight: height} = $("big");
  return Math.min(box.width, box.height * width / Math.max(height, 1));
}

export function startZoom() {
  $("zoom-in").onclick = () => magnify(STEP);
  $("zoom-out").onclick = () => magnify(1 / STEP);
  $("zoom-fit").onclick = () => magnify(1 / LARGEST);
  $("zoom").onwheel = (event) => {
    event.preventDefault();
    magnify(event.deltaY < 0 ? STEP : 1 / STEP, event.clientX, event.clientY);
  };
  $("zoom").ondblclick = (event) => magnify(2, event.clientX, event.clientY);
  // A mouse drags the picture; a finger scrolls it by itself.
  $("zoom").onpointermove = (event) => {
    if (event.pointerType !== "mouse" || !(event.buttons & 1)) return;
    event.preventDefault();
    $("zoom").scrollLeft -= event.movementX;
    $("zoom").scrollTop -= event.movementY;
  };
  $("big").draggable = false;
}
