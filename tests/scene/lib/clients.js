// Real clients, opened with a deadline and closed when the scene ends.
'use strict';

const WebSocket = require('ws');
const { within } = require('./wait');

// Some client libraries leave their ten-second timers behind when they are disconnected. A scene that has ended must not wait for
// them, and one that plays has processes that keep it alive.
const LIBRARY_TIMER_MS = 10000;
const { setTimeout: startTimer } = globalThis;
globalThis.setTimeout = Object.assign((fn, ms, ...args) => {
  const timer = startTimer(fn, ms, ...args);
  return ms >= LIBRARY_TIMER_MS ? timer.unref() : timer;
}, startTimer);

// The reason a client is closed with whose server is gone: when it had better come back.
const LOST = /^upstream lost, retry in [1-9]\d* ms$/;

// A `ws` client whose messages and closing can be waited for. `refused` is set instead of rejecting when `mayFail`.
class Client {
  static async open(scene, url, { protocols, ms = 5000, mayFail = false, ...options } = {}) {
    const c = new Client(new WebSocket(url, protocols, { perMessageDeflate: false, ...options }));
    scene.atEnd(() => c.socket.terminate());
    const opened = new Promise((resolve, reject) => {
      c.socket.once('open', resolve);
      c.socket.once('unexpected-response', (request, response) => {
        c.refused = { status: response.statusCode, headers: response.headers };
        request.destroy();
        if (mayFail) resolve();
        else reject(new Error(`${url}: refused with ${response.statusCode}`));
      });
      c.socket.once('error', (error) => {
        c.error = error;
        if (mayFail) resolve();
        else reject(error);
      });
    });
    await within(ms, `${url} to open`, opened);
    return c;
  }

  constructor(socket) {
    this.socket = socket;
    this.queue = [];
    this.takers = [];
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => {});
    socket.on('upgrade', (response) => {
      this.headers = response.headers;
    });
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const taker = this.takers.shift();
      if (taker) taker(message);
      else this.queue.push(message);
    });
  }

  send(data) {
    this.socket.send(data);
  }

  // The next message.
  message(ms = 5000) {
    if (this.queue.length > 0) return Promise.resolve(this.queue.shift());
    return within(ms, 'a message', new Promise((resolve) => this.takers.push(resolve)));
  }

  // Sends and returns the next message.
  ask(data, ms = 5000) {
    this.send(data);
    return this.message(ms);
  }

  // {code, reason} of the closing.
  closing(ms = 5000) {
    return within(ms, 'the WebSocket to close', this.closed);
  }

  async close(code = 1000, reason = '') {
    this.socket.close(code, reason);
    return this.closing();
  }
}

module.exports = { Client, LOST };
