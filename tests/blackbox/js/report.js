// How a client on Node.js tells the tests what went well.

/** Prints one step's result as one line of JSON. */
export function print(step) {
  console.log(JSON.stringify(step));
}
