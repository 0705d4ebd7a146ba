'use strict';
// What it costs that a WebSocket is a session: the same Phoenix messages through a route that understands them and one that does not, both of one worker, and through
// others; and what the memory of a session and of its channels takes.
const processes = require('./process.js');
const { peers } = require('./peers.js');
const { rounds } = require('./rounds.js');
const { median, print, integer, ratio } = require('./table.js');

const CONNECTIONS = 500;
const BYTES = 100; // with what Phoenix puts around it, 150
const HELD = 2000;

const OPAQUE = '/opaque/websocket?vsn=2.0.0';
const SESSION = '/session/websocket?vsn=2.0.0';

const kinds = [
  { what: 'pushes, answered with phx_reply (vsn 2.0.0, text)', args: [] },
  { what: 'broadcasts of kind 3, heard again as kind 4 (binary)', args: ['--binary'] },
];

async function sessions(stage, names, options) {
  const started = [];
  for (const name of names) {
    const peer = await stage.start(name, 1, CONNECTIONS + 100);
    started.push({ ...peer, title: name === 'tidegate' ? 'Tidegate, opaque' : peers[name].title, path: OPAQUE });
    if (name === 'tidegate') started.push({ ...peer, name: 'session', title: 'Tidegate, phoenix', path: SESSION });
  }
  for (const { what, args } of kinds) {
    const found = await rounds(started, options.rounds, `sessions, ${what}`, ({ port, path }) => stage.load(port, [
      '--path', path, '--channels', 1, '--connections', CONNECTIONS, '--size', BYTES, '--warm-up', 1, '--seconds', options.seconds, ...args,
    ]));
    const value = (name, key) => median(found.get(name).map((r) => r[key]));
    // the rounds' own ratios: those of one round stand in the same minute
    const of = (name, base, key) => (found.has(base) ? ratio(median(found.get(name).map((r, i) => r[key] / found.get(base)[i][key])), 1) : '-');
    print(
      `Phoenix ${what}, ${CONNECTIONS} connections with one in flight each, one worker: round trips`,
      ['', 'per second', 'of nginx', 'of opaque', 'proxy CPU us each', 'of opaque', 'p50 ms', 'p99 ms'],
      started.map(({ name, title }) => [
        title,
        integer(value(name, 'round_trips_per_second')),
        ...['nginx', 'tidegate'].map((base) => of(name, base, 'round_trips_per_second')),
        value(name, 'cpu_us').toFixed(2),
        of(name, 'tidegate', 'cpu_us'),
        ...['latency_p50_us', 'latency_p99_us'].map((key) => (value(name, key) / 1000).toFixed(2)),
      ]),
    );
  }
  for (const { child } of started) await processes.stop(child);
}

// Memory of so many idle WebSockets with so many channels each: { bytes of each, result }.
async function held(stage, path, channels) {
  const { child, port } = await stage.start('tidegate', 1, HELD + 100);
  const args = ['--path', path, '--channels', channels];
  await stage.load(port, ['--connections', 100, '--messages', 10, ...args]); // everything once, so that code is paged in
  const empty = await processes.settledPssBytes(child.pid);
  const result = await stage.hold(port, ['--connections', HELD, ...args], () => processes.settledPssBytes(child.pid));
  await processes.stop(child);
  if (result.alive !== HELD) throw new Error(`sessions-memory: ${result.alive} of ${HELD} were there at the end: ${result.first_error}`);
  return { each: (result.inspected - empty) / result.opened, result };
}

async function sessionMemory(stage, names) {
  if (!names.includes('tidegate')) return;
  const rows = [];
  for (const [title, path] of [['opaque', OPAQUE], ['phoenix', SESSION]]) {
    const [one, ten] = [await held(stage, path, 1), await held(stage, path, 10)];
    const perChannel = (ten.each - one.each) / 9;
    rows.push([title, integer(one.each), integer(ten.each), integer(perChannel), integer(one.result.join_bytes)]);
    console.error(`sessions-memory: ${title}`);
  }
  print(
    `Memory of ${integer(HELD)} idle Phoenix WebSockets, one worker: bytes each (PSS of all processes; without the kernel's socket buffers)`,
    ['', 'with one channel', 'with ten channels', 'each further channel', 'of which its join, as sent'], rows,
  );
}

module.exports = { sessions, sessionMemory };
