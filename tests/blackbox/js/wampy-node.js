// wampy.js on Node.js: wampy-node.js TRANSPORT SERIALIZER HOST PORT PATH

import { Wampy } from "wampy";
import { CborSerializer } from "wampy/CborSerializer.js";
import { JsonSerializer } from "wampy/JsonSerializer.js";
import { MsgpackSerializer } from "wampy/MsgpackSerializer.js";
import { WebSocket } from "ws";

import { print } from "./report.js";
import { run } from "./scenario.js";

const [, serializer, host, port, path] = process.argv.slice(2);
const serializers = { json: JsonSerializer, msgpack: MsgpackSerializer, cbor: CborSerializer };

const failed = (error) => {
  throw error?.error || error?.errorUri
    ? { uri: error.error ?? error.errorUri, args: error.argsList, kwargs: error.argsDict }
    : error;
};
const result = ({ argsList, argsDict }) => ({ args: argsList, kwargs: argsDict ?? {} });
const payload = (args, kwargs) => ({ argsList: args ?? [], argsDict: kwargs ?? {} });

async function open() {
  let socket;
  class Socket extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols);
      socket = this;
    }
  }
  const wampy = new Wampy(`ws://${host}:${port}${path}`, {
    realm: "realm1",
    ws: Socket,
    serializer: new serializers[serializer](),
    autoReconnect: false,
  });
  await wampy.connect();
  return {
    async subscribe(topic, match, handler) {
      const options = match === "exact" ? undefined : { match };
      const { subscriptionKey } = await wampy.subscribe(topic, (event) => handler(result(event)), options);
      // wampy 8.0.2 throws at UNSUBSCRIBED of a subscription that was made with options.
      return async () => options ?? (await wampy.unsubscribe(subscriptionKey));
    },
    publish: (topic, args, kwargs) => wampy.publish(topic, payload(args, kwargs)),
    async register(procedure, handler) {
      const invoke = async ({ argsList, argsDict }) => {
        try {
          const { args, kwargs } = await handler(argsList, argsDict);
          return payload(args, kwargs);
        } catch (error) {
          throw { error: error.uri, ...payload(error.args, error.kwargs) };
        }
      };
      await wampy.register(procedure, invoke).catch(failed);
      return () => wampy.unregister(procedure);
    },
    call(procedure, args, kwargs, { timeout, onProgress } = {}) {
      const options = {
        ...(timeout && { timeout }),
        ...(onProgress && { progress_callback: (value) => onProgress(result(value)) }),
      };
      const promise = wampy.call(procedure, payload(args, kwargs), options).then(result, failed);
      const request = wampy.getOpStatus().reqId;
      return { promise, cancel: () => wampy.cancel(request, { mode: "killnowait" }) };
    },
    leave: () => wampy.disconnect(),
    kill: () => socket.terminate(),
  };
}

await run({ open }, `wampy.${serializer}`, print);
process.exit();
