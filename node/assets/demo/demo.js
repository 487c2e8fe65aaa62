// Windows that talk to each other: who is here, a chat line, a shared counter, and calls from window to window.
//
// Nothing is kept in the router. Each window tells what it knows, and what others tell is merged: see wamp.js for
// the client, and the four sections below for one WAMP pattern each.

import { Connection } from "./wamp.js";

const PRESENCE = "com.example.demo.presence";
const CHAT = "com.example.demo.chat";
const COUNTER = "com.example.demo.counter";
const procedure = (window, name) => `com.example.demo.window.${window}.${name}`;

const HEARTBEAT = 5_000; // milliseconds
const FORGET_AFTER = 3.5 * HEARTBEAT;
const MOST_WINDOWS = 500; // what strangers can make this page remember
const MOST_LINES = 200;

const $ = (id) => document.getElementById(id);
const me = introduceMyself();
const peers = new Map(); // window id -> { name, hue, seen, element }
const counts = new Map([[me.window, 0]]); // window id -> its clicks
let session = null;

// --- Connecting ---------------------------------------------------------------------------------------------------

// ?path=/other and ?realm=other reach other routers' configurations; the host is always this page's. The router has written
// into the page where "ws" is that stands beside it.
const query = new URLSearchParams(location.search);
const url = new URL(query.get("path") ?? document.documentElement.dataset.websocket, location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(url.href, query.get("realm") ?? "realm1");

connection.onopen = async (opened) => {
  try {
    await Promise.all([
      opened.subscribe(PRESENCE, ([news]) => onPresence(news)),
      opened.subscribe(CHAT, ([line]) => isPerson(line) && addLine(line, false)),
      opened.subscribe(COUNTER, ([news]) => mergeCounts(news)),
      opened.register(procedure(me.window, "time"), () => ({ name: me.name, time: new Date().toLocaleTimeString() })),
      opened.register(procedure(me.window, "flash"), ([hue]) => flash(hue)),
    ]);
  } catch (error) {
    return setStatus("offline", `Refused: ${error.message}`);
  }
  session = opened;
  setStatus("online", "Connected");
  tell("hello");
};

connection.onclose = (reason, delay) => {
  session = null;
  for (const window of [...peers.keys()]) forget(window);
  const next = delay === null ? "" : `, next try in ${Math.max(1, Math.round(delay / 1000))} s`;
  setStatus("offline", `Offline${next}`);
  $("status").title = reason;
};

function setStatus(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
  for (const id of ["chat-send", "counter-inc"]) $(id).disabled = state !== "online";
}

// --- Who is here: publish and subscribe -----------------------------------------------------------------------------
// A window says "hello" when it comes, "here" as an answer and as a heartbeat, "bye" when it goes.

function tell(what, options = {}) {
  const news = { what, ...me, session: session?.id, counts: Object.fromEntries(counts) };
  session?.publish(PRESENCE, [news], {}, options);
}

function onPresence(news) {
  if (!isPerson(news) || news.window === me.window) return;
  mergeCounts(news.counts);
  if (news.what === "bye") return forget(news.window);
  remember(news);
  // Only the newcomer needs our answer: "eligible" names the sessions that get the event.
  if (news.what === "hello") tell("here", { eligible: [news.session] });
}

setInterval(() => {
  tell("here");
  for (const [window, { seen }] of peers) if (Date.now() - seen > FORGET_AFTER) forget(window);
}, HEARTBEAT);

addEventListener("pagehide", () => {
  tell("bye");
  connection.close();
});
// A page that comes back from the browser's cache has to connect again.
addEventListener("pageshow", (event) => event.persisted && connection.open());

function remember({ window, name, hue }) {
  const known = peers.get(window);
  if (!known && peers.size >= MOST_WINDOWS) return;
  const element = known?.element ?? $("peers").appendChild(personElement(window));
  element.style.setProperty("--hue", hue);
  element.querySelector("b").textContent = name;
  peers.set(window, { name, hue, element, seen: Date.now() });
}

function forget(window) {
  peers.get(window)?.element.remove();
  peers.delete(window);
}

function personElement(window) {
  const button = (text, title, action) => {
    const element = Object.assign(document.createElement("button"), { type: "button", textContent: text, title });
    element.className = text.toLowerCase();
    element.addEventListener("click", () => action(window));
    return element;
  };
  const dot = Object.assign(document.createElement("span"), { className: "dot", ariaHidden: "true" });
  const who = Object.assign(document.createElement("span"), { className: "who" });
  who.append(document.createElement("b"));
  const item = Object.assign(document.createElement("li"), { className: "person peer" });
  item.dataset.window = window;
  item.append(dot, who, button("Ask", "Ask that window for its time", askTime));
  item.append(button("Flash", "Flash that window", flashOther));
  return item;
}

// --- Calls from window to window: remote procedures ------------------------------------------------------------------
// Each window registers procedures under its own id, so that the others can call exactly that one.

async function askTime(window) {
  await call(window, "time", [], ({ name, time }) => `${name} says it is ${time}`);
}

async function flashOther(window) {
  await call(window, "flash", [me.hue], () => `${peers.get(window)?.name ?? "The window"} has flashed in your colour`);
}

async function call(window, name, args, describe) {
  const result = $("call-result");
  const start = performance.now();
  try {
    if (!session) throw new Error("not connected");
    const { args: [value] } = await session.call(procedure(window, name), args, {}, { timeout: 5_000 });
    result.textContent = `${describe(value ?? {})} (${(performance.now() - start).toFixed(1)} ms there and back).`;
    delete result.dataset.failed;
  } catch (error) {
    result.textContent = `No answer: ${error.message}`;
    result.dataset.failed = "";
  }
  result.hidden = false;
}

function flash(hue) {
  document.body.style.setProperty("--flash-hue", Number.isFinite(hue) ? hue : 240);
  document.body.classList.remove("flashing");
  void document.body.offsetWidth; // makes the browser notice, so that the animation starts anew
  document.body.classList.add("flashing");
  setTimeout(() => document.body.classList.remove("flashing"), 1_000);
}

// --- A chat line: publish and subscribe -------------------------------------------------------------------------------

$("chat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("chat-input").value.trim();
  if (!text || !session) return;
  // The router leaves the publisher out by default, so our own line is added here.
  session.publish(CHAT, [{ ...me, text }]);
  addLine({ ...me, text }, true);
  $("chat-input").value = "";
});

function addLine({ name, hue, text }, mine) {
  const log = $("chat-log");
  const line = Object.assign(document.createElement("li"), { className: mine ? "line mine" : "line" });
  line.style.setProperty("--hue", hue);
  line.append(Object.assign(document.createElement("small"), { textContent: mine ? "You" : name }));
  line.append(Object.assign(document.createElement("span"), { textContent: String(text).slice(0, 300) }));
  log.append(line);
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}

// --- A shared counter: state without a server -------------------------------------------------------------------------
// Each window only ever raises its own count, and of two counts for one window the larger is the newer. So the counts
// can be merged in any order and any number of times (a "grow-only counter"), and the sum agrees everywhere.

$("counter-inc").addEventListener("click", () => {
  mergeCounts({ [me.window]: counts.get(me.window) + 1 });
  session?.publish(COUNTER, [{ [me.window]: counts.get(me.window) }]);
});

function mergeCounts(news) {
  for (const [window, count] of Object.entries(news ?? {})) {
    const room = counts.has(window) || counts.size < MOST_WINDOWS;
    if (isWindow(window) && room && Number.isSafeInteger(count)) {
      counts.set(window, Math.max(count, counts.get(window) ?? 0));
    }
  }
  $("counter-value").textContent = [...counts.values()].reduce((sum, count) => sum + count, 0);
}

// --- What goes over the wire --------------------------------------------------------------------------------------------

const NAMES = {
  1: "HELLO", 2: "WELCOME", 3: "ABORT", 6: "GOODBYE", 8: "ERROR", 16: "PUBLISH", 32: "SUBSCRIBE", 33: "SUBSCRIBED",
  36: "EVENT", 48: "CALL", 50: "RESULT", 64: "REGISTER", 65: "REGISTERED", 68: "INVOCATION", 70: "YIELD",
};

const wire = [];
connection.onmessage = (direction, message) => {
  wire.unshift([direction, message]);
  wire.length = Math.min(wire.length, 60);
  if ($("wire").open) showWire();
};
$("wire").addEventListener("toggle", showWire);

function showWire() {
  $("wire-log").replaceChildren(...wire.map(([direction, message]) => {
    const item = Object.assign(document.createElement("li"), { className: `message ${direction}` });
    const type = `${direction === "sent" ? "→" : "←"} ${NAMES[message[0]] ?? message[0]}`;
    item.append(Object.assign(document.createElement("b"), { textContent: type }));
    item.append(Object.assign(document.createElement("code"), { textContent: JSON.stringify(message) }));
    return item;
  }));
}

// --- This window ----------------------------------------------------------------------------------------------------------

function introduceMyself() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  const adjectives = ["Amber", "Brave", "Calm", "Dapper", "Eager", "Fuzzy", "Gentle", "Happy", "Jolly", "Lucky", "Quiet", "Swift"];
  const animals = ["Otter", "Panda", "Robin", "Badger", "Heron", "Lynx", "Marmot", "Newt", "Owl", "Puffin", "Seal", "Wren"];
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  const window = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { window, name: `${pick(adjectives)} ${pick(animals)}`, hue: Math.floor(Math.random() * 360) };
}

// Others may publish anything here; what does not look like one of our windows is left alone.
function isWindow(window) {
  return typeof window === "string" && /^[0-9a-f]{12}$/.test(window);
}

function isPerson(news) {
  return isWindow(news?.window) && typeof news.name === "string" && news.name.length <= 40 && Number.isFinite(news.hue);
}

$("me").textContent = me.name;
$("me").dataset.window = me.window;
$("me-dot").style.setProperty("--hue", me.hue);
$("open-window").addEventListener("click", () => window.open(location.href, "_blank", "width=760,height=820"));
setStatus("connecting", "Connecting…");
connection.open();
