// Starts the system's Chromium for tests, without a display and without talking to anybody but the test.

import { chromium } from "playwright-core";

/** The browser; CROSSPOINT_CHROMIUM names another program file. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CROSSPOINT_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
