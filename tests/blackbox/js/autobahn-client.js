// autobahn-js as scenario.js wants it; works with the npm packages autobahn and autobahn-browser.

/** `kill(connection)` ends a connection's socket without GOODBYE. */
export function autobahnClient(autobahn, options, kill) {
  const failed = (error) => {
    throw error?.error ? { uri: error.error, args: error.args, kwargs: error.kwargs } : error;
  };
  const result = (value) =>
    value instanceof autobahn.Result ? { args: value.args, kwargs: value.kwargs } : { args: [value], kwargs: {} };

  const adapt = (session, connection, closed) => ({
    async subscribe(topic, match, handler) {
      const subscription = await session.subscribe(topic, (args, kwargs) => handler({ args, kwargs }), { match });
      return () => session.unsubscribe(subscription);
    },
    publish: (topic, args, kwargs) => session.publish(topic, args, kwargs, { acknowledge: true }),
    async register(procedure, handler) {
      const invoke = async (args, kwargs) => {
        try {
          const { args: positional, kwargs: named } = await handler(args, kwargs);
          return new autobahn.Result(positional, named);
        } catch (error) {
          throw new autobahn.Error(error.uri, error.args, error.kwargs);
        }
      };
      const registration = await Promise.resolve(session.register(procedure, invoke)).catch(failed);
      return () => session.unregister(registration);
    },
    call(procedure, args, kwargs, { timeout, onProgress } = {}) {
      const wanted = { ...(timeout && { timeout }), ...(onProgress && { receive_progress: true }) };
      const pending = session.call(procedure, args, kwargs, wanted);
      const progress = onProgress && ((value) => onProgress(result(value)));
      const promise = new Promise((resolve, reject) => pending.then(resolve, reject, progress));
      return { promise: promise.then(result, failed), cancel: () => pending.cancel({ mode: "kill" }) };
    },
    leave() {
      connection.close("wamp.close.close_realm");
      return closed;
    },
    kill: () => kill(connection),
  });

  const open = () =>
    new Promise((resolve, reject) => {
      const connection = new autobahn.Connection({ realm: "realm1", max_retries: 0, ...options });
      let close;
      const closed = new Promise((done) => (close = done));
      connection.onopen = (session) => resolve(adapt(session, connection, closed));
      connection.onclose = (reason, details) => {
        close();
        reject(new Error(`${reason}: ${JSON.stringify(details)}`));
        return true;
      };
      connection.open();
    });
  return { open };
}
