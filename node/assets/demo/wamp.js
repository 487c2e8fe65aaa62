// A small WAMP client over WebSocket and JSON: connect, publish, subscribe, register, call, connect again.
//
//   const connection = new Connection("ws://localhost:8080/ws", "realm1");
//   connection.onopen = async (session) => {
//     await session.subscribe("com.example.hello", (args, kwargs) => console.log(args, kwargs));
//     session.publish("com.example.hello", ["world"]);
//     await session.register("com.example.add", ([a, b]) => a + b);
//     console.log((await session.call("com.example.add", [2, 3])).args[0]);
//   };
//   connection.open();
//
// Everything here is the Basic Profile of https://wamp-proto.org. For authentication, other serializers and all
// advanced features use a full client, such as the npm package "autobahn-browser".

// Message types: the first element of every message.
const HELLO = 1, WELCOME = 2, ABORT = 3, CHALLENGE = 4, GOODBYE = 6, ERROR = 8;
const PUBLISH = 16, PUBLISHED = 17, SUBSCRIBE = 32, SUBSCRIBED = 33, UNSUBSCRIBE = 34, UNSUBSCRIBED = 35, EVENT = 36;
const CALL = 48, RESULT = 50, REGISTER = 64, REGISTERED = 65, UNREGISTER = 66, UNREGISTERED = 67;
const INVOCATION = 68, YIELD = 70;

/** An error that came as a WAMP message, or that a procedure throws for its caller. */
export class WampError extends Error {
  constructor(uri, args = [], kwargs = {}) {
    super(args.length > 0 ? `${uri}: ${args[0]}` : uri);
    Object.assign(this, { uri, args, kwargs });
  }
}

/** Keeps a session open: connects, and after a loss connects again, waiting longer each time. */
export class Connection {
  /** Called with a new Session after each connect: subscribe and register here. */
  onopen = () => {};
  /** Called after each loss, with a reason and the milliseconds until the next attempt (null: there is none). */
  onclose = () => {};
  /** Called with every message, for those who like to watch: ("sent" or "received", message). */
  onmessage = () => {};

  constructor(url, realm, { shortestDelay = 500, longestDelay = 15_000 } = {}) {
    Object.assign(this, { url, realm, shortestDelay, longestDelay });
    this.delay = shortestDelay;
    this.wanted = false;
  }

  open() {
    this.wanted = true;
    const socket = new WebSocket(this.url, ["wamp.2.json"]);
    const session = new Session((message) => this.#send(socket, message));
    this.session = session;
    let reason = "no connection";
    socket.onopen = () => {
      reason = "connection lost";
      const roles = { publisher: {}, subscriber: {}, caller: {}, callee: {} };
      this.#send(socket, [HELLO, this.realm, { roles }]);
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      this.onmessage("received", message);
      switch (message[0]) {
        case WELCOME:
          this.delay = this.shortestDelay;
          [, session.id, session.details] = message;
          this.onopen(session);
          break;
        case ABORT: // [ABORT, Details, Reason]
        case GOODBYE:
          reason = message[2];
          if (message[0] === GOODBYE && !session.leaving) {
            this.#send(socket, [GOODBYE, {}, "wamp.close.goodbye_and_out"]);
          }
          socket.close();
          break;
        case CHALLENGE:
          this.#send(socket, [ABORT, {}, "wamp.error.no_auth_method"]);
          socket.close();
          break;
        default:
          session.handle(message);
      }
    };
    socket.onclose = () => {
      session.end(reason);
      // A little randomness keeps a crowd of clients from all coming back in the same moment.
      const delay = this.wanted ? this.delay * (0.5 + Math.random()) : null;
      this.delay = Math.min(this.delay * 2, this.longestDelay);
      this.onclose(reason, delay);
      if (delay !== null) setTimeout(() => this.wanted && this.open(), delay);
    };
  }

  /** Leaves the realm and stays away. */
  close() {
    this.wanted = false;
    this.session?.leave();
  }

  #send(socket, message) {
    if (socket.readyState !== WebSocket.OPEN) return;
    this.onmessage("sent", message);
    socket.send(JSON.stringify(message));
  }
}

/** What one can do while connected. Every method that waits for the router returns a promise. */
class Session {
  #send;
  #lastRequest = 0;
  #requests = new Map(); // `${type of the request}:${id}` -> { done, fail, progress }
  #subscriptions = new Map(); // subscription id -> handlers
  #registrations = new Map(); // registration id -> procedure

  constructor(send) {
    this.#send = send;
    this.leaving = false;
    this.isOpen = true;
  }

  /** Sends an event. With the option `acknowledge` the promise waits for the router's word. */
  async publish(topic, args = [], kwargs = {}, options = {}) {
    const message = [PUBLISH, this.#nextRequest(), options, topic, args, kwargs];
    if (!options.acknowledge) return void this.#send(message);
    return this.#request(message, ([, , publication]) => publication);
  }

  /** Calls `handler(args, kwargs, details)` for each event. Resolves to a function that ends it. */
  subscribe(topic, handler, options = {}) {
    return this.#request([SUBSCRIBE, this.#nextRequest(), options, topic], ([, , subscription]) => {
      // The same topic twice is one subscription for the router, with two handlers here.
      const handlers = this.#subscriptions.get(subscription) ?? new Set();
      this.#subscriptions.set(subscription, handlers.add(handler));
      return async () => {
        handlers.delete(handler);
        if (handlers.size === 0 && this.#subscriptions.delete(subscription)) {
          await this.#request([UNSUBSCRIBE, this.#nextRequest(), subscription]);
        }
      };
    });
  }

  /** Offers `procedure(args, kwargs, details)`. Resolves to a function that ends it. */
  register(uri, procedure, options = {}) {
    return this.#request([REGISTER, this.#nextRequest(), options, uri], ([, , registration]) => {
      this.#registrations.set(registration, procedure);
      return async () => {
        await this.#request([UNREGISTER, this.#nextRequest(), registration]);
        this.#registrations.delete(registration);
      };
    });
  }

  /** Calls a procedure. Resolves to { args, kwargs }; `progress` gets the same for each progressive result. */
  call(uri, args = [], kwargs = {}, options = {}, progress = undefined) {
    if (progress) options = { ...options, receive_progress: true };
    const result = ([, , , args = [], kwargs = {}]) => ({ args, kwargs });
    return this.#request([CALL, this.#nextRequest(), options, uri, args, kwargs], result, progress);
  }

  leave(reason = "wamp.close.normal") {
    this.leaving = true;
    this.#send([GOODBYE, {}, reason]);
  }

  /** Takes a message of an open session. */
  handle(message) {
    switch (message[0]) {
      case EVENT: { // [EVENT, Subscription, Publication, Details, Args?, KwArgs?]
        const [, subscription, , details, args = [], kwargs = {}] = message;
        this.#subscriptions.get(subscription)?.forEach((handler) => handler(args, kwargs, details));
        break;
      }
      case INVOCATION:
        this.#invoke(message);
        break;
      case ERROR: { // [ERROR, type of the request, Request, Details, Error, Args?, KwArgs?]
        const [, type, request, , uri, args, kwargs] = message;
        this.#take(type, request)?.fail(new WampError(uri, args, kwargs));
        break;
      }
      case RESULT: { // [RESULT, Request, Details, Args?, KwArgs?]
        const [, request, { progress }] = message;
        if (progress) this.#requests.get(`${CALL}:${request}`)?.progress?.(message);
        else this.#take(CALL, request)?.done(message);
        break;
      }
      case PUBLISHED:
      case SUBSCRIBED:
      case UNSUBSCRIBED:
      case REGISTERED:
      case UNREGISTERED: // an answer's type is that of its request plus one
        this.#take(message[0] - 1, message[1])?.done(message);
        break;
    }
  }

  /** The connection is gone: so is everything that was asked for. */
  end(reason) {
    this.isOpen = false;
    for (const { fail } of this.#requests.values()) fail(new WampError("wamp.close.transport_lost", [reason]));
    this.#requests.clear();
  }

  async #invoke([, request, registration, details, args = [], kwargs = {}]) {
    try {
      const result = await this.#registrations.get(registration)(args, kwargs, details);
      this.#send([YIELD, request, {}, result === undefined ? [] : [result]]);
    } catch (error) {
      const known = error instanceof WampError;
      const uri = known ? error.uri : "wamp.error.runtime_error";
      this.#send([ERROR, INVOCATION, request, {}, uri, known ? error.args : [String(error)]]);
    }
  }

  /** Sends a request. `read` turns its answer into the promise's value, before the next message is handled. */
  #request(message, read = () => undefined, progress = undefined) {
    if (!this.isOpen) return Promise.reject(new WampError("wamp.close.transport_lost"));
    return new Promise((resolve, reject) => {
      this.#requests.set(`${message[0]}:${message[1]}`, {
        done: (answer) => resolve(read(answer)),
        fail: reject,
        progress: progress && ((answer) => progress(read(answer))),
      });
      this.#send(message);
    });
  }

  #take(type, request) {
    const key = `${type}:${request}`;
    const found = this.#requests.get(key);
    this.#requests.delete(key);
    return found;
  }

  #nextRequest() {
    return ++this.#lastRequest;
  }
}
