// Events as cards: the newest ones beside the picture, and those of the history.

import {$, cameraLabel, counted, duration, figure, localTime, make, makeButton} from "./dom.js";
import {isUnlocked, requestChange} from "./access.js";
import {openPicture} from "./zoom.js";
import {station} from "./station.js";

const SHOWN = 9;
const KINDS = {health: "Health", drift: "Drift", check: "Check", recipe: "Setup", test: "Test"};
let shown = "";

export function showEvents() {
  const open = station.events.filter((event) => event.kind === "defect" && !event.seen).length;
  $("events-count").textContent = station.events.length ? `${open} not acknowledged` : "None yet.";
  $("all-events").hidden = station.events.length === 0;
  // Cards that stay as they are keep their pictures, and the button under a finger.
  const newest = station.events.slice(0, SHOWN), content = JSON.stringify([newest, isUnlocked()]);
  if (content === shown) return;
  shown = content;
  $("events").replaceChildren(...newest.map((event) => eventCard(event)));
}

export function eventCard(event) {
  const item = make("li", undefined, `${event.level || ""}${event.seen ? " seen" : ""}`);
  item.dataset.event = event.event_id;
  if (event.overlay_picture) item.append(defectPicture(event));
  const text = make("div", undefined, "what");
  text.append(make("strong", `${titleOf(event)} · ${localTime(event.started_at)}`));
  const message = make("p", event.message);
  message.title = event.message;
  text.append(make("small", factsOf(event).join(" · ")), message);
  if (event.mark) text.append(make("small", `${event.mark.mark === "real" ? "Real defect" : "False alarm"}, says ${event.mark.who}, ${localTime(event.mark.at)}`));
  if (event.seen) text.append(make("small", `Acknowledged by ${event.seen.who}, ${localTime(event.seen.at)}`));
  const buttons = make("div", undefined, "buttons");
  if (!event.seen && isUnlocked() && (event.kind === "defect" || event.level)) {
    buttons.append(makeButton("Acknowledge", () => requestChange({action: "acknowledge", event_id: event.event_id}), "ack"));
  }
  if (isUnlocked() && event.kind === "defect") {
    buttons.append(markButton("Real defect", "real", event), markButton("False alarm", "false-alarm", event));
  }
  item.append(text);
  if (buttons.children.length) item.append(buttons);
  return item;
}

// A second touch takes the mark back.
function markButton(text, mark, event) {
  const isMarked = event.mark !== null && event.mark.mark === mark;
  const button = makeButton(text, () => requestChange({action: "mark", event_id: event.event_id, mark: isMarked ? "none" : mark}));
  button.setAttribute("aria-pressed", String(isMarked));
  return button;
}

function titleOf(event) {
  if (event.kind === "defect") return event.level === "warn" ? "WARNING" : (event.level || "defect").toUpperCase();
  return `${KINDS[event.kind] || event.kind}: ${event.code.replaceAll("-", " ")}`;
}

function factsOf(event) {
  const facts = [];
  if (event.camera) facts.push(cameraLabel(event.camera));
  if (event.frame_score !== null) facts.push(`score ${figure(event.frame_score)}, level ${figure(event.threshold)}`);
  if (event.regions.length) facts.push(sizeOf(event.regions[0]));
  if (event.frames > 1) facts.push(counted(event.frames, "frame"));
  if (["defect", "health", "drift"].includes(event.kind)) {
    facts.push(event.phase !== "end" ? "ongoing" : event.duration_s >= 1 ? `lasted ${duration(event.duration_s)}` : "over");
  }
  return facts;
}

function sizeOf(region) {
  if (region.width_um !== undefined) return `${figure(region.width_um)} × ${figure(region.height_um)} µm`;
  return `${region.width_px} × ${region.height_px} px`;
}

function defectPicture(event) {
  const image = make("img");
  image.loading = "lazy";
  image.alt = `The defect at ${localTime(event.started_at)}`;
  image.src = `pictures/${event.event_id}/defect.jpg?message=${event.number}`;
  const whole = `pictures/${event.event_id}/overlay.png?message=${event.number}`;
  const button = makeButton(undefined, () => openPicture(whole, `Frame and heat map at ${localTime(event.started_at)}`, event.message), "thumb");
  // A picture that was deleted for lack of space leaves no black box behind.
  image.onerror = () => button.replaceWith(make("div", "picture deleted", "thumb none"));
  button.setAttribute("aria-label", "Show the whole frame and its heat map");
  button.append(image);
  return button;
}
