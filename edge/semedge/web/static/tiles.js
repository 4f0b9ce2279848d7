// The frames of a lesson as a grid: a touch throws one out, or takes it back.

import {$, make, makeButton, write} from "./dom.js";
import {openPicture} from "./zoom.js";

const TILES = 48;
let page = 0, lessonOf = null, tiles = new Map(), change = null;

export function showTiles(lesson, mayChange) {
  const facts = lesson.lesson;
  if (lessonOf !== facts.started_at) { lessonOf = facts.started_at; tiles = new Map(); page = 0; }
  const out = new Set(facts.thrown_out), newest = lesson.frames.slice().reverse();
  const pages = Math.max(1, Math.ceil(newest.length / TILES));
  page = Math.min(page, pages - 1);
  const shown = newest.slice(page * TILES, (page + 1) * TILES).map((number) => tileOf(number, facts.started_at));
  // Tiles that stay keep their pictures.
  const before = [...$("tiles").children];
  if (shown.length !== before.length || shown.some((tile, place) => tile !== before[place])) $("tiles").replaceChildren(...shown);
  for (const tile of shown) {
    const number = Number(tile.dataset.number), button = tile.querySelector(".tile");
    button.setAttribute("aria-pressed", String(out.has(number)));
    button.disabled = !mayChange;
  }
  write($("frames-count"), `${newest.length - out.size} to learn from${out.size ? `, ${out.size} thrown out` : ""}`);
  $("tiles-pages").hidden = pages === 1;
  write($("tiles-page"), `Page ${page + 1} of ${pages}`);
  $("tiles-newer").disabled = page === 0;
  $("tiles-older").disabled = page === pages - 1;
}

function tileOf(number, startedAt) {
  if (tiles.has(number)) return tiles.get(number);
  const item = make("li");
  item.dataset.number = number;
  const address = `teach/${number}.jpg?of=${encodeURIComponent(startedAt)}`;
  const image = make("img");
  image.loading = "lazy";
  image.alt = `Frame ${number}`;
  image.src = address;
  const button = makeButton(undefined, () => {
    const isOut = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!isOut));
    change("throw-out", {frames: [number], back: isOut});
  }, "tile");
  button.setAttribute("aria-label", `Throw frame ${number} out`);
  button.append(image);
  const large = makeButton("⤢", () => openPicture(`${address}&size=full`, `Frame ${number}`, `Frame ${number} of the lesson`), "large");
  large.setAttribute("aria-label", `Show frame ${number} in full size`);
  item.append(button, large);
  tiles.set(number, item);
  return item;
}

export function startTiles(request, redraw) {
  change = request;
  $("tiles-newer").onclick = () => { page -= 1; redraw(); };
  $("tiles-older").onclick = () => { page += 1; redraw(); };
}
