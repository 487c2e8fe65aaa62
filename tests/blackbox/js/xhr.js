// What autobahn-js uses of XMLHttpRequest for long-poll, which Node.js does not have.

export class XMLHttpRequest {
  #request = {};

  open(method, url) {
    this.#request = { url, init: { method, headers: {} } };
  }

  setRequestHeader(name, value) {
    this.#request.init.headers[name] = value;
  }

  async send(body) {
    const { url, init } = this.#request;
    const signal = this.timeout ? AbortSignal.timeout(this.timeout) : undefined;
    try {
      const response = await fetch(url, { ...init, body, signal });
      this.responseText = await response.text();
      this.status = response.status;
      this.statusText = response.statusText;
    } catch (error) {
      this.status = 0;
      this.statusText = String(error);
    }
    this.readyState = 4;
    this.onreadystatechange();
  }
}
