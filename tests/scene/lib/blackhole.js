// A place that swallows connections.
'use strict';

const assert = require('node:assert/strict');
const { Worker } = require('node:worker_threads');
const { event } = require('./wait');

// A port whose listener never accepts and has no room left: the kernel drops every SYN. The listener's thread sleeps for good.
async function blackhole(s) {
  const BACKLOG = 1;
  const worker = new Worker(
    `const net = require('node:net');
     const { parentPort } = require('node:worker_threads');
     const server = net.createServer().listen({ port: 0, host: '127.0.0.1', backlog: ${BACKLOG} }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  s.atEnd(() => worker.terminate());
  const [port] = await event(worker, 'message');
  for (let i = 0; i < BACKLOG + 1; i++) await s.connect(port);
  await assert.rejects(s.connect(port, { ms: 200 }), /not within/);
  return port;
}

module.exports = { blackhole };
