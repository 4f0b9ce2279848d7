// The history of events: filters, pages, and a table to download.

import {$, cameraLabel, make} from "./dom.js";
import {eventCard} from "./events.js";
import {station} from "./station.js";

let starts = [null];          // the number before which each page starts; the last one is shown
let cameras = "";

function filters() {
  const chosen = new URLSearchParams();
  for (const name of ["kind", "level", "camera"]) if ($(`filter-${name}`).value) chosen.set(name, $(`filter-${name}`).value);
  for (const name of ["since", "until"]) {
    const value = $(`filter-${name}`).value;
    if (value) chosen.set(name, new Date(value).toISOString());
  }
  return chosen;
}

async function load() {
  const chosen = filters();
  $("download").href = `api/history.csv?${chosen}`;
  const before = starts[starts.length - 1];
  if (before !== null) chosen.set("before", before);
  let found;
  try {
    const answer = await fetch(`api/history?${chosen}`);
    found = await answer.json();
    if (!answer.ok) throw new Error(found.detail);
  } catch (error) {
    $("history-count").textContent = error.message || "The station did not answer.";
    return;
  }
  $("history").replaceChildren(...found.events.map((event) => eventCard(event)));
  if (!found.events.length) $("history").append(make("li", "No event matches.", "empty"));
  $("history-count").textContent = `Page ${starts.length}`;
  $("newer").disabled = starts.length === 1;
  $("older").disabled = !found.more;
  $("older").dataset.before = found.more ? found.events[found.events.length - 1].number : "";
}

function first() {
  starts = [null];
  load();
}

export function openHistory() {
  const names = station.latest === null ? [] : Object.keys(station.latest.state.cameras);
  if (names.join("\n") !== cameras) {
    cameras = names.join("\n");
    const all = make("option", "All cameras");
    all.value = "";
    $("filter-camera").replaceChildren(all, ...names.map((name) => {
      const option = make("option", cameraLabel(name));
      option.value = name;
      return option;
    }));
  }
  $("filter-camera").parentElement.hidden = names.length < 2;
  first();
}

export function startHistory() {
  $("filters").onchange = first;
  $("filters").onsubmit = (event) => { event.preventDefault(); first(); };
  $("newer").onclick = () => { starts.pop(); load(); };
  $("older").onclick = () => { starts.push(Number($("older").dataset.before)); load(); scrollTo(0, 0); };
}
