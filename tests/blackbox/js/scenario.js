// What every JavaScript client is put through, on Node.js and in a browser.
//
// A client is an object with `open()`, which gives a session:
//   subscribe(topic, match, handler)   handler({ args, kwargs }); gives a function that unsubscribes
//   publish(topic, args, kwargs)       acknowledged
//   register(procedure, handler)       handler(args, kwargs) gives the result; gives a function that unregisters
//   call(procedure, args, kwargs, { timeout, onProgress })
//                                      { promise, cancel() }; a failure is { uri, args, kwargs }
//   leave()                            the GOODBYE handshake
//   kill()                             ends the connection without it
// The procedures helper.count and helper.wait are those of the callee that the tests run beside.

/** A list that can be awaited until it has some items. */
class Inbox {
  #items = [];
  #wake = () => {};

  put = (item) => {
    this.#items.push(item);
    this.#wake();
  };

  async take(count) {
    while (this.#items.length < count) {
      await new Promise((resolve) => (this.#wake = resolve));
    }
    return this.#items.splice(0, count);
  }
}

function canonical(value) {
  return JSON.stringify(value, (_, part) =>
    part && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function expect(got, wanted) {
  if (canonical(got) !== canonical(wanted)) {
    throw new Error(`expected ${canonical(wanted)}, got ${canonical(got)}`);
  }
}

async function failure(promise) {
  let result;
  try {
    result = await promise;
  } catch (error) {
    if (error?.uri) {
      return error;
    }
    throw error;
  }
  throw new Error(`expected a failure, got ${canonical(result)}`);
}

const once = (call) => call.promise;

const STEPS = {
  async subscribe({ a, b, name }) {
    const inbox = new Inbox();
    const patterns = { exact: name("topic.x.end"), prefix: name("topic"), wildcard: name("topic..end") };
    const undo = [];
    for (const [match, pattern] of Object.entries(patterns)) {
      undo.push(await b.subscribe(pattern, match, (event) => inbox.put({ match, ...event })));
    }
    await a.publish(name("topic.x.end"), [1, "zwei"], { k: [3] });
    const events = await inbox.take(3);
    events.sort((one, other) => (one.match < other.match ? -1 : 1));
    expect(events, Object.keys(patterns).sort().map((match) => ({ match, args: [1, "zwei"], kwargs: { k: [3] } })));
    for (const unsubscribe of undo) {
      await unsubscribe();
    }
    await a.publish(name("topic.x.end"), ["nobody"]);
  },

  async call({ a, b, name }) {
    await b.register(name("echo"), (args, kwargs) => ({ args, kwargs }));
    for (const args of [[1, "zwei", null, { x: [1.5] }], ["x".repeat(300_000)]]) {
      expect(await once(a.call(name("echo"), args, { k: true })), { args, kwargs: { k: true } });
    }
  },

  async errors({ a, b, name }) {
    const fail = () => {
      throw { uri: "com.example.error", args: ["why"], kwargs: { code: 7 } };
    };
    const unregister = await b.register(name("fail"), fail);
    const error = await failure(once(a.call(name("fail"))));
    expect([error.uri, error.args, error.kwargs], ["com.example.error", ["why"], { code: 7 }]);
    expect((await failure(a.register(name("fail"), fail))).uri, "wamp.error.procedure_already_exists");
    await unregister();
    expect((await failure(once(a.call(name("fail"))))).uri, "wamp.error.no_such_procedure");
  },

  async progress({ a }) {
    const got = [];
    const call = a.call("helper.count", [5], {}, { onProgress: ({ args }) => got.push(args[0]) });
    expect((await once(call)).args, ["done"]);
    expect(got, [0, 1, 2, 3, 4]);
  },

  async cancel({ a, name }) {
    const inbox = new Inbox();
    const unsubscribe = await a.subscribe("helper.events", "exact", ({ args }) => inbox.put(args));
    const call = a.call("helper.wait", [name("cancel")]);
    const failed = failure(once(call));
    expect(await inbox.take(1), [["called", name("cancel")]]);
    call.cancel();
    expect((await failed).uri, "wamp.error.canceled");
    expect(await inbox.take(1), [["interrupted", name("cancel")]]);
    await unsubscribe();
  },

  async timeout({ a, name }) {
    const call = a.call("helper.wait", [name("timeout")], {}, { timeout: 50 });
    expect((await failure(once(call))).uri, "wamp.error.timeout");
  },

  async killed_peer({ a, b, name, open }) {
    const called = new Inbox();
    const c = await open();
    await c.register(name("hang"), () => {
      called.put(true);
      return new Promise(() => {});
    });
    const failed = failure(once(a.call(name("hang"))));
    await called.take(1);
    c.kill();
    expect((await failed).uri, "wamp.error.canceled");
    await b.register(name("hang"), () => ({ args: [] }));
  },

  async leave({ a, b }) {
    await a.leave();
    await b.leave();
  },
};

/** Runs all steps, and calls `report` with { step, ok, text } after each. */
export async function run(client, prefix, report) {
  const name = (text) => `${prefix}.${text}`;
  const [a, b] = [await client.open(), await client.open()];
  for (const [step, doing] of Object.entries(STEPS)) {
    let text = "";
    try {
      await doing({ a, b, name, open: client.open });
    } catch (error) {
      text = String(error?.stack ?? canonical(error));
    }
    report({ step, ok: !text, text });
  }
}
