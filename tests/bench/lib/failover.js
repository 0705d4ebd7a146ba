'use strict';
// How long a name still leads to a region that is gone: two regions, one of which is killed or stopped at any moment between two
// checks. The time is that of whoever asks, every millisecond; with several gateways, that of the last one.
const dgram = require('node:dgram');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const processes = require('./process.js');
const { program, write } = require('./files.js');
const { median } = require('./figures.js');

const PRIMARY = '192.0.2.1';
const BACKUP = '192.0.2.2';
const ASK_EVERY_MS = 1;
const SETTLE_MS = 15000;
const GONE_MS = 20000;

// "A www.bench.example", without EDNS.
const QUERY = Buffer.from('000100000001000000000000' + '0377777705' + Buffer.from('bench').toString('hex') + '07' + Buffer.from('example').toString('hex') + '0000010001', 'hex');

// Asks for the address over and over; `.address` is what the last answer said, `.ttl` for how long.
class Asker {
  constructor(port) {
    this.socket = dgram.createSocket('udp4');
    this.socket.on('message', (bytes) => {
      this.address = bytes.readUInt16BE(6) > 0 ? bytes.subarray(bytes.length - 4).join('.') : null;
      this.ttl = bytes.readUInt16BE(6) > 0 ? bytes.readUInt32BE(bytes.length - 10) : null;
      this.look?.();
    });
    this.timer = setInterval(() => this.socket.send(QUERY, port, '127.0.0.1', () => {}), ASK_EVERY_MS);
  }

  // Resolves with the moment at which `address` is what is answered.
  until(address, ms) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer with ${address} within ${ms} ms, but ${this.address}`)), ms);
      this.look = () => {
        if (this.address !== address) return;
        clearTimeout(timer);
        this.look = null;
        resolve(performance.now());
      };
    });
  }

  close() {
    clearInterval(this.timer);
    this.socket.close();
  }
}

async function startRegion(name, port) {
  const child = processes.start(program('region'), ['--listen', `127.0.0.1:${port}`, '--name', name]);
  await processes.untilListening(child, port);
  return child;
}

async function startRedis(dir) {
  const port = await processes.freePort();
  const child = processes.start('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', dir].map(String));
  await processes.untilListening(child, port);
  return { child, port };
}

// A gateway that answers, and who asks it. `redis`: where it meets the others.
async function startGateway(dir, name, ports, { interval, watch }, redis) {
  const port = await processes.freePort();
  const target = (to) => ({ check: { type: 'http', url: `http://127.0.0.1:${to}/health`, interval, watch } });
  const config = {
    node: { name },
    state_dir: '',
    control: { path: '' },
    targets: { primary: target(ports[0]), backup: target(ports[1]) },
    dns: {
      zone: 'bench.example', listen: [`127.0.0.1:${port}`], nameservers: ['ns1.example.net'], rate: { answers: 0 },
      records: [{ name: 'www', answers: [{ target: 'primary', a: [PRIMARY] }, { target: 'backup', tier: 'backup', a: [BACKUP] }] }],
    },
    ...(redis ? { quorum: { redis: { url: `redis://127.0.0.1:${redis.port}/0` } } } : {}),
  };
  const child = processes.start(program('tidegate'), ['-c', write(dir, `${name}.yaml`, JSON.stringify(config))]);
  await processes.untilListening(child, port);
  return { child, asker: new Asker(port) };
}

// The moment of the next line of its log that says the primary is down.
function downEvent({ child }) {
  return new Promise((resolve) => {
    const look = (text) => {
      if (!/server changed.*targets\/primary.*new=down/.test(String(text))) return;
      child.stderr.off('data', look);
      resolve(performance.now());
    };
    child.stderr.on('data', look);
  });
}

const gone = {
  killed: (child) => child.kill('SIGKILL'),
  paused: (child) => child.kill('SIGSTOP'),
};

// One region lost: when the first gateway saw it, and when the last one answered without it, in milliseconds from the loss.
async function lose(how, gateways, child, intervalMs) {
  await pause((2.5 + Math.random()) * intervalMs); // checks are calm again, and the moment between two of them is any
  const seen = Promise.race(gateways.map(downEvent));
  const start = performance.now();
  gone[how](child);
  const answered = Math.max(...(await Promise.all(gateways.map(({ asker }) => asker.until(BACKUP, GONE_MS)))));
  const noticed = await Promise.race([seen, pause(2000, answered)]);
  return { noticed: noticed - start, told: answered - noticed, all: answered - start, ttl: gateways[0].asker.ttl };
}

// `runs` losses of each kind.
async function measure(dir, { title, intervalMs, gatewayCount, runs, watch = false }) {
  const ports = [await processes.freePort(), await processes.freePort()];
  const others = [await startRegion('backup', ports[1])];
  let primary = await startRegion('primary', ports[0]);
  const gateways = [];
  const found = { killed: [], paused: [] };
  try {
    const redis = gatewayCount > 1 ? await startRedis(dir) : null;
    if (redis) others.push(redis.child);
    for (let i = 0; i < gatewayCount; i++) gateways.push(await startGateway(dir, `gateway-${i}`, ports, { interval: `${intervalMs}ms`, watch }, redis));
    for (let run = 0; run < runs; run++) {
      for (const how of Object.keys(gone)) {
        for (const { asker } of gateways) await asker.until(PRIMARY, SETTLE_MS + 4 * intervalMs);
        found[how].push(await lose(how, gateways, primary, intervalMs));
        primary.kill('SIGKILL');
        await primary.gone;
        primary = await startRegion('primary', ports[0]);
      }
      console.error(`failover, ${title}: round ${run + 1} of ${runs}`);
    }
  } finally {
    for (const { asker } of gateways) asker.close();
    for (const child of [...gateways.map((gateway) => gateway.child), primary, ...others]) await processes.stop(child);
  }
  return found;
}

async function failover(stage, names, { rounds, report }) {
  if (!names.includes('tidegate')) return;
  const kinds = [
    { title: 'checks every second', intervalMs: 1000, gatewayCount: 1, runs: rounds },
    { title: 'every second, watched', intervalMs: 1000, gatewayCount: 1, runs: rounds, watch: true },
    { title: 'every second, three gateways with a quorum', intervalMs: 1000, gatewayCount: 3, runs: rounds },
    { title: 'every 250 ms', intervalMs: 250, gatewayCount: 1, runs: rounds },
    { title: 'every 5 seconds', intervalMs: 5000, gatewayCount: 1, runs: rounds },
  ];
  const rows = [];
  const both = (found, key) => `${Math.round(median(found.map((r) => r[key])))} / ${Math.round(Math.max(...found.map((r) => r[key])))}`;
  for (const kind of kinds) {
    const dir = fs.mkdtempSync(path.join(stage.dir, 'failover-'));
    for (const [how, found] of Object.entries(await measure(dir, kind)))
      rows.push([`${how}, ${kind.title}`, ...['noticed', 'told', 'all', 'ttl'].map((key) => both(found, key))]);
  }
  report.table(
    `DNS, a region is lost (timeout 800 ms or the interval, fall 2): milliseconds, median / longest of ${rounds}`,
    ['', 'until it is known', 'from then to answers without it', 'altogether', 'TTL of those, s'], rows,
  );
}

module.exports = { failover };
