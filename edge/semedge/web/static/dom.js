// Small things that every part of the page uses.

export const $ = (id) => document.getElementById(id);

export const VERDICTS = {good: "GOOD", warn: "WARNING", alarm: "ALARM", "not inspecting": "NOT INSPECTING"};

export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function makeButton(text, onclick, className) {
  const button = make("button", text, className);
  button.type = "button";
  button.onclick = onclick;
  return button;
}

// Written only where it changes, so that a screen reader reads it once.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function showRows(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, value, bad]) => [make("dt", name), make("dd", value, bad ? "bad" : "")]));
}

// A station with one camera calls it "camera", which nobody has named.
export function cameraLabel(name) {
  return name === "camera" ? "The camera" : `Camera ${name}`;
}

export function figure(value) {
  return value === null || value === undefined ? "–" : String(Number(Number(value).toPrecision(4)));
}

export function counted(number, one, several = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
}

export function localTime(text) {
  if (!text) return "–";
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString("sv")} `;
  return day + at.toLocaleTimeString([], {hour12: false});
}

export function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function number(text) {
  const value = text.trim().replace(",", ".");
  return value === "" ? null : Number(value);
}

let noticeTimer = 0;
export function notify(text, bad) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", Boolean(bad));
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { $("notice").hidden = true; }, 6000);
}
