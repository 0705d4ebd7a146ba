'use strict';
// How long a name still leads to a region that is gone: checks every second and everything else as it comes, two regions, one of
// which is killed or stopped at any moment between two checks. The time is that of whoever asks, every millisecond.
const dgram = require('node:dgram');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const processes = require('./process.js');
const { program, write } = require('./files.js');
const { median, print } = require('./table.js');

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

async function startGateway(dir, ports) {
  const port = await processes.freePort();
  const target = (to) => ({ check: { type: 'http', url: `http://127.0.0.1:${to}/health`, interval: '1s' } });
  const config = {
    node: { name: 'bench' },
    state_dir: '',
    control: { path: '' },
    targets: { primary: target(ports[0]), backup: target(ports[1]) },
    dns: {
      zone: 'bench.example', listen: [`127.0.0.1:${port}`], nameservers: ['ns1.example.net'], rate: { answers: 0 },
      records: [{ name: 'www', answers: [{ target: 'primary', a: [PRIMARY] }, { target: 'backup', tier: 'backup', a: [BACKUP] }] }],
    },
  };
  const child = processes.start(program('tidegate'), ['-c', write(dir, 'tidegate.yaml', JSON.stringify(config))]);
  await processes.untilListening(child, port);
  return { child, port };
}

// The moment of the next line of its log that says the primary is down.
function downEvent(child) {
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

// One region lost: when it was seen and when it was answered, in milliseconds from the loss.
async function lose(how, asker, gateway, child) {
  await pause(2500 + Math.random() * 1000); // checks are calm again, and the moment between two of them is any
  const seen = downEvent(gateway.child);
  const start = performance.now();
  gone[how](child);
  const answered = await asker.until(BACKUP, GONE_MS);
  const noticed = await Promise.race([seen, pause(2000, answered)]);
  return { noticed: noticed - start, told: answered - noticed, all: answered - start, ttl: asker.ttl };
}

async function failover(stage, names, { rounds }) {
  if (!names.includes('tidegate')) return;
  const dir = fs.mkdtempSync(path.join(stage.dir, 'failover-'));
  const ports = [await processes.freePort(), await processes.freePort()];
  const backup = await startRegion('backup', ports[1]);
  let primary = await startRegion('primary', ports[0]);
  const gateway = await startGateway(dir, ports);
  const asker = new Asker(gateway.port);
  const found = { killed: [], paused: [] };
  try {
    for (let round = 0; round < 2 * rounds; round++) {
      for (const how of Object.keys(gone)) {
        await asker.until(PRIMARY, SETTLE_MS);
        found[how].push(await lose(how, asker, gateway, primary));
        primary.kill('SIGKILL');
        await primary.gone;
        primary = await startRegion('primary', ports[0]);
      }
      console.error(`failover: round ${round + 1} of ${2 * rounds}`);
    }
  } finally {
    asker.close();
    for (const child of [gateway.child, primary, backup]) await processes.stop(child);
  }
  const both = (rows, key) => `${Math.round(median(rows.map((r) => r[key])))} / ${Math.round(Math.max(...rows.map((r) => r[key])))}`;
  print(
    `DNS, a region is lost, checks every second (defaults: timeout 800 ms, fall 2): milliseconds, median / longest of ${2 * rounds}`,
    ['', 'until it is known', 'from then to the first answer without it', 'altogether', 'TTL of that answer, s'],
    Object.entries(found).map(([how, rows]) => [how, both(rows, 'noticed'), both(rows, 'told'), both(rows, 'all'), both(rows, 'ttl')]),
  );
}

module.exports = { failover };
