// A scene: one test with its own processes, files and connections, all of which are gone when it ends.
'use strict';

const crypto = require('node:crypto');
const dgram = require('node:dgram');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { Gateway } = require('./gateway');
const { Process } = require('./process');
const { Raw } = require('./raw');
const { Redis } = require('./redis');
const { Region } = require('./region');
const { PATIENCE, within } = require('./wait');

const END_MS = 20000;
const LEFT_MS = 60000;
const PORT_MIN = 10240;
const PORT_COUNT = 32768 - PORT_MIN; // below the ephemeral range of Linux
// Test files run side by side, and time passes until a port is listened on. Meanwhile it is claimed by a UDP socket of its number on an
// address nothing else uses: other test processes see that, and the kernel drops it with this one.
const CLAIM_ADDRESS = '127.255.116.116';
// What no process may ever log: a sanitizer's finding, or the last words of a failed assertion.
const FAULT = /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|assertion failed/i;

// A file whose scenes are over and that does not end has left something open, and would be waited for without end.
after(() => {
  setTimeout(() => {
    console.error(`scenes are over, and still open: ${process.getActiveResourcesInfo().join(' ')}`);
    process.exit(1);
  }, LEFT_MS).unref();
});

// Whether `bind(done)` works on that socket.
function binds(socket, bind) {
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false));
    bind(() => resolve(true));
  });
}

class Scene {
  constructor() {
    this.ends = []; // functions, run from last to first
    this.processes = [];
    this.hasEnded = false;
  }

  // Something to be undone at the end, which may have come already: of a scene that failed, something may still be under way.
  atEnd(fn) {
    if (this.hasEnded) Promise.resolve().then(fn).catch(() => {});
    else this.ends.push(fn);
  }

  temp() {
    if (!this.folder) {
      this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-scene-'));
      fs.chmodSync(this.folder, 0o755); // processes that gave up root look in here, too
      this.atEnd(() => fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 }));
    }
    return this.folder;
  }

  // A port that nobody listens on. Not one the kernel would hand out: it could give it to any outgoing connection a moment later.
  async freePort() {
    for (;;) {
      const port = PORT_MIN + crypto.randomInt(PORT_COUNT);
      const claim = dgram.createSocket('udp4').unref();
      if (!(await binds(claim, (done) => claim.bind({ port, address: CLAIM_ADDRESS, exclusive: true }, done)))) continue;
      const server = net.createServer();
      const isFree = await binds(server, (done) => server.listen(port, '127.0.0.1', done));
      await new Promise((resolve) => server.close(resolve));
      if (isFree) return port;
    }
  }

  async start(options) {
    const p = await Process.start(options);
    this.processes.push(p);
    this.atEnd(() => p.stop());
    return p;
  }

  // The example backend: see lib/region.js.
  region(options = {}) {
    return Region.start(this, options);
  }

  // Tidegate itself: see lib/gateway.js.
  gateway(config, options = {}) {
    return Gateway.start(this, config, options);
  }

  // A real Redis: see lib/redis.js.
  redis(options = {}) {
    return Redis.start(this, options);
  }

  // An MQTT broker that speaks WebSocket; at a `port` where another one was, if need be.
  async mosquitto({ port: wanted } = {}) {
    const port = wanted ?? (await this.freePort());
    const file = path.join(this.temp(), `mosquitto-${port}.conf`);
    // Its plain listener is there because mosquitto 2.0.11 does not count WebSocket ones and stops when there are no others.
    const listeners = `listener ${await this.freePort()} 127.0.0.1\nlistener ${port} 127.0.0.1\nprotocol websockets\n`;
    fs.writeFileSync(file, `${listeners}allow_anonymous true\npersistence false\nlog_dest stderr\n`);
    const p = await this.start({ name: 'mosquitto', command: 'mosquitto', args: ['-c', file], ready: /mosquitto version .* running/ });
    return Object.assign(p, { port });
  }

  async connect(port, options) {
    const raw = await Raw.connect(port, options);
    this.atEnd(() => raw.destroy());
    return raw;
  }

  // A TCP server whose connections are handed to `onConnection` as Raw; returns its port.
  async server(onConnection) {
    const sockets = new Set();
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onConnection(new Raw(socket));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.atEnd(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return server.address().port;
  }

  async end() {
    const errors = [];
    this.hasEnded = true;
    for (const fn of this.ends.reverse()) {
      try {
        await fn();
      } catch (error) {
        errors.push(error);
      }
    }
    for (const p of this.processes) {
      const fault = p.lines.find((line) => FAULT.test(line));
      if (fault) errors.unshift(new Error(`${p.name}: ${fault}`));
    }
    if (errors.length > 0) throw errors[0];
  }

  log() {
    return this.processes.map((p) => p.log()).join('\n');
  }
}

// scene('what is shown', async (s) => { ... }): a test whose failure shows what its processes logged.
function scene(title, options, play) {
  if (typeof options === 'function') return scene(title, {}, options);
  return test(title, { ...options, timeout: (options.timeout ?? 60000) * PATIENCE }, async (t) => {
    const s = new Scene();
    let failure;
    try {
      await play(s, t);
    } catch (error) {
      failure = error;
    }
    try {
      await within(END_MS, 'the end of the scene', s.end());
    } catch (error) {
      failure = failure ?? error;
    }
    if (failure) {
      console.error(`--- ${title}\n${s.log()}\n---`);
      throw failure;
    }
  });
}

module.exports = { Scene, scene };
