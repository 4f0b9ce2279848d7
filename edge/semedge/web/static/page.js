// The page: its tabs, and who shows what when a message of the station arrives.

import {$} from "./dom.js";
import {onAccess, startAccess} from "./access.js";
import {connect, onMessage, showAll} from "./station.js";
import {openHistory, startHistory} from "./history.js";
import {openTeach, showTeach, startTeach} from "./teach.js";
import {showEvents} from "./events.js";
import {showFrames, startFrames} from "./frames.js";
import {showHours, startHours} from "./hours.js";
import {showLive, startLive} from "./live.js";
import {startPicture} from "./picture.js";
import {startRegions} from "./regions.js";
import {startZoom} from "./zoom.js";

const OPENED = {live: showAll, history: openHistory, teach: openTeach};

function openTab() {
  const name = Object.hasOwn(OPENED, location.hash.slice(1)) ? location.hash.slice(1) : "live";
  for (const tab of Object.keys(OPENED)) {
    $(`${tab}-tab`).hidden = tab !== name;
    document.querySelector(`#tabs a[href="#${tab}"]`).toggleAttribute("aria-current", tab === name);
  }
  OPENED[name]();
}

startAccess();
startLive();
startPicture();
startRegions();
startZoom();
startHours();
startHistory();
startFrames();
startTeach();
onMessage(showLive);
onMessage(showEvents);
onMessage(showHours);
onMessage(showTeach);
onAccess(() => { showAll(); showFrames(); if (!$("history-tab").hidden) openHistory(); });
window.addEventListener("hashchange", openTab);
window.addEventListener("resize", showAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
setInterval(showAll, 1000);
openTab();
connect();
