// A TCP connection's way between two programs, which a scene can cut, clog or make long.
'use strict';

const net = require('node:net');
const { resetSocket } = require('./raw');
const { later } = require('./wait');

class Cable {
  // `.port` leads to `to`, for as long as it is not cut.
  static async lay(s, to) {
    const c = new Cable(to);
    c.server = net.createServer((socket) => c.#join(socket));
    await new Promise((resolve) => c.server.listen(0, '127.0.0.1', resolve));
    c.port = c.server.address().port;
    s.atEnd(() => {
      c.cut();
      c.server.close();
    });
    return c;
  }

  constructor(to) {
    this.to = to;
    this.isCut = false;
    this.isClogged = false;
    this.delayMs = 0; // of each direction
    this.pairs = new Set();
  }

  #join(near) {
    near.on('error', () => {});
    if (this.isCut) {
      resetSocket(near);
      return;
    }
    const far = net.connect({ port: this.to, host: '127.0.0.1', noDelay: true });
    const pair = [near, far];
    this.pairs.add(pair);
    far.on('error', () => {});
    for (const [from, other] of [pair, [far, near]]) {
      from.on('data', (part) => {
        if (this.delayMs > 0 || from.lateCount > 0) this.#late(from, other, part);
        else other.write(part);
      });
      from.on('close', () => {
        this.pairs.delete(pair);
        if (from.lateCount > 0) from.arrival.then(() => other.destroySoon()); // behind what it said
        else other.destroy();
      });
    }
    if (this.isClogged) for (const socket of pair) socket.pause();
  }

  // What came first arrives first, also when the way becomes shorter.
  #late(from, other, part) {
    const dueAt = Date.now() + this.delayMs;
    from.lateCount = (from.lateCount ?? 0) + 1;
    from.arrival = (from.arrival ?? Promise.resolve()).then(async () => {
      if (dueAt > Date.now()) await later(dueAt - Date.now());
      from.lateCount--;
      other.write(part);
    });
  }

  // All connections are reset, and so are new ones.
  cut() {
    this.isCut = true;
    for (const pair of this.pairs) for (const socket of pair) resetSocket(socket);
  }

  mend() {
    this.isCut = false;
  }

  // Nothing passes, and nobody is told.
  clog() {
    this.isClogged = true;
    for (const pair of this.pairs) for (const socket of pair) socket.pause();
  }

  unclog() {
    this.isClogged = false;
    for (const pair of this.pairs) for (const socket of pair) socket.resume();
  }
}

module.exports = { Cable };
