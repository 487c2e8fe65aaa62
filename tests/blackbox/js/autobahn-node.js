// autobahn-js on Node.js: autobahn-node.js TRANSPORT SERIALIZER HOST PORT PATH

import { WebSocket } from "ws";

import { autobahnClient } from "./autobahn-client.js";
import { print } from "./report.js";
import { run } from "./scenario.js";
import { XMLHttpRequest } from "./xhr.js";

const [transport, serializer, host, port, path] = process.argv.slice(2);

const sockets = [];
globalThis.WebSocket = class extends WebSocket {
  constructor(...rest) {
    super(...rest);
    sockets.push(this);
  }
};

globalThis.XMLHttpRequest = XMLHttpRequest;

const { default: autobahn } = await import("autobahn");
const serializers = {
  json: autobahn.serializer.JSONSerializer,
  msgpack: autobahn.serializer.MsgpackSerializer,
  cbor: autobahn.serializer.CBORSerializer,
};
const options = {
  websocket: { url: `ws://${host}:${port}${path}`, serializers: [new serializers[serializer]()] },
  rawsocket: { transports: [{ type: "rawsocket", host, port: Number(port) }] },
  longpoll: { transports: [{ type: "longpoll", url: `http://${host}:${port}${path}` }] },
}[transport];

// The socket that was opened last is that of the session to be killed.
const kill = (connection) =>
  transport === "websocket" ? sockets.at(-1).terminate() : connection._transport.close();
await run(autobahnClient(autobahn, options, kill), `autobahnjs.${transport}.${serializer}`, print);
process.exit();
