// The demo page in two windows of headless Chromium: demo-page.js URL FOLDER
// Screenshots go to FOLDER; each step is reported as scenario.js does it.

import { launch } from "./chromium.js";
import { print } from "./report.js";

const [url, folder] = process.argv.slice(2);
const PATIENCE = { timeout: 10_000 };

const browser = await launch();
const problems = [];

async function openWindow() {
  const context = await browser.newContext({ viewport: { width: 760, height: 980 } });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  await page.locator('#status[data-state="online"]').waitFor(PATIENCE);
  return page;
}

const windowOf = (page) => page.locator("#me").getAttribute("data-window");
const hasText = (page, selector, text) => page.locator(selector, { hasText: text }).first().waitFor(PATIENCE);
const counter = (page, value) =>
  page.waitForFunction((wanted) => document.getElementById("counter-value").textContent === wanted, value, PATIENCE);

const [a, b] = [await openWindow(), await openWindow()];
const [idOfA, idOfB] = [await windowOf(a), await windowOf(b)];

const STEPS = {
  async presence() {
    await a.locator(`#peers .peer[data-window="${idOfB}"]`).waitFor(PATIENCE);
    await b.locator(`#peers .peer[data-window="${idOfA}"]`).waitFor(PATIENCE);
  },
  async chat() {
    for (const [from, text] of [[a, "Hello from <b>A</b>"], [b, "Grüße von B 😀"]]) {
      await from.locator("#chat-input").fill(text);
      await from.locator("#chat-send").click();
      await hasText(a, "#chat-log .line", text);
      await hasText(b, "#chat-log .line", text);
    }
  },
  async counter() {
    for (const page of [a, b, b]) {
      await page.locator("#counter-inc").click();
    }
    await counter(a, "3");
    await counter(b, "3");
  },
  async call() {
    await a.locator(`.peer[data-window="${idOfB}"] .ask`).click();
    await a.locator("#call-result:not([hidden])", { hasText: /\d/ }).waitFor(PATIENCE);
    const flashed = b.waitForFunction(() => document.body.classList.contains("flashing"), null, PATIENCE);
    await a.locator(`.peer[data-window="${idOfB}"] .flash`).click();
    await flashed;
  },
  async wire() {
    await a.locator("#wire summary").click();
    await a.locator("#counter-inc").click();
    await a.locator("#wire-log .message").first().waitFor(PATIENCE);
  },
  async newcomer() {
    const c = await openWindow();
    await counter(c, "4");
    await c.context().close();
  },
  async screenshot() {
    await a.locator("#wire summary").click();
    await a.screenshot({ path: `${folder}/demo-a.png`, fullPage: true });
    await b.screenshot({ path: `${folder}/demo-b.png`, fullPage: true });
  },
  async goodbye() {
    await b.close({ runBeforeUnload: false });
    await a.locator(`#peers .peer[data-window="${idOfB}"]`).waitFor({ state: "detached", timeout: 25_000 });
  },
  async no_errors() {
    if (problems.length) {
      throw new Error(problems.join("\n"));
    }
  },
};

for (const [step, doing] of Object.entries(STEPS)) {
  let text = "";
  try {
    await doing();
  } catch (error) {
    text = String(error.stack);
  }
  print({ step, ok: !text, text });
}
await browser.close();
process.exit();
