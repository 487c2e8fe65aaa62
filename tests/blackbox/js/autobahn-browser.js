// autobahn-browser in headless Chromium: autobahn-browser.js TRANSPORT SERIALIZER HOST PORT PATH

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { launch } from "./chromium.js";
import { print } from "./report.js";

const [transport, serializer, host, port, path] = process.argv.slice(2);

const PAGE = `<!doctype html>
<title>autobahn-browser</title>
<script src="/node_modules/autobahn-browser/autobahn.min.js"></script>
<script type="module">
  import { autobahnClient } from "/autobahn-client.js";
  import { run } from "/scenario.js";
  const serializers = { json: "JSONSerializer", msgpack: "MsgpackSerializer", cbor: "CBORSerializer" };
  const sockets = [];
  globalThis.WebSocket = class extends WebSocket {
    constructor(...rest) {
      super(...rest);
      sockets.push(this);
    }
  };
  const websocket = "${transport}" === "websocket";
  const options = websocket
    ? {
        url: "ws://${host}:${port}${path}",
        serializers: [new autobahn.serializer[serializers["${serializer}"]]()],
      }
    : { transports: [{ type: "longpoll", url: "http://${host}:${port}${path}" }] };
  // A browser cannot drop a connection; closing the transport under the session comes nearest.
  const kill = (connection) => (websocket ? sockets.at(-1).close() : connection._transport.close());
  const client = autobahnClient(autobahn, options, kill);
  await run(client, "browser.${transport}.${serializer}", report).then(() => done(), (error) => done(String(error)));
</script>`;

const server = createServer((request, response) => {
  if (request.url === "/") {
    response.setHeader("content-type", "text/html");
    response.end(PAGE);
    return;
  }
  response.setHeader("content-type", "text/javascript");
  const file = createReadStream(fileURLToPath(new URL(`.${request.url}`, import.meta.url)));
  file.on("error", () => response.writeHead(404).end());
  file.pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await launch();
const page = await browser.newPage();
page.on("pageerror", (error) => console.error(error));
await page.exposeFunction("report", print);
const ended = new Promise((resolve) => page.exposeFunction("done", resolve));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const error = await ended;
await browser.close();
if (error) {
  console.error(error);
}
process.exit(error ? 1 : 0);
