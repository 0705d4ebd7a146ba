'use strict';
// What it costs that a WebSocket is a session: the same Phoenix messages through a route that understands them and one that does not, both of one worker, and through
// others; and what the memory of a session and of its channels takes.
const processes = require('./process.js');
const { peers } = require('./peers.js');
const { rounds } = require('./rounds.js');
const { median, medianRatio, spread } = require('./figures.js');
const { integer, ratio, milliseconds } = require('./table.js');

const CONNECTIONS = 500;
const BYTES = 100; // with what Phoenix puts around it, 150
const HELD = 2000;
const HELD_ROUNDS = 3; // memory hardly differs from one round to the next

const OPAQUE = '/opaque/websocket?vsn=2.0.0';
const SESSION = '/session/websocket?vsn=2.0.0';

const kinds = [
  { id: 'sessions', what: 'pushes, answered with phx_reply (vsn 2.0.0, text)', args: [] },
  { id: 'sessions-binary', what: 'broadcasts of kind 3, heard again as kind 4 (binary)', args: ['--binary'] },
];

async function sessions(stage, names, options) {
  const started = [];
  for (const name of names) {
    const peer = await stage.start(name, 1, CONNECTIONS + 100);
    started.push({ ...peer, title: name === 'tidegate' ? 'Tidegate, opaque' : peers[name].title, path: OPAQUE });
    if (name === 'tidegate') started.push({ ...peer, name: 'session', title: 'Tidegate, phoenix', path: SESSION });
  }
  for (const { id, what, args } of kinds) {
    const found = await rounds(started, options.rounds, `sessions, ${what}`, ({ port, path }) => stage.load(port, [
      '--path', path, '--channels', 1, '--connections', CONNECTIONS, '--size', BYTES, '--warm-up', 1, '--seconds', options.seconds, ...args,
    ]));
    const values = (name, key) => found.get(name).map((r) => r[key]);
    const of = (name, base, key) => (found.has(base) ? ratio(medianRatio(values(name, key), values(base, key))) : '-');
    options.report.table(
      `Phoenix ${what}, ${CONNECTIONS} connections with one in flight each, one worker: round trips`,
      ['', 'per second', 'spread', 'of nginx', 'of opaque', 'proxy CPU us each', 'spread', 'of opaque', 'p50 ms', 'p99 ms'],
      started.map(({ name, title }) => [
        title,
        integer(median(values(name, 'round_trips_per_second'))), spread(values(name, 'round_trips_per_second')),
        ...['nginx', 'tidegate'].map((base) => of(name, base, 'round_trips_per_second')),
        median(values(name, 'cpu_us')).toFixed(2), spread(values(name, 'cpu_us')), of(name, 'tidegate', 'cpu_us'),
        ...['latency_p50_us', 'latency_p99_us'].map((key) => milliseconds(median(values(name, key)))),
      ]),
    );
    options.report.measure(id, found, ['round_trips_per_second', 'cpu_us', 'latency_p50_us', 'latency_p99_us']);
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

async function sessionMemory(stage, names, options) {
  if (!names.includes('tidegate')) return;
  const rows = [];
  for (const [title, path] of [['opaque', OPAQUE], ['phoenix', SESSION]]) {
    const found = [];
    for (let round = 0; round < Math.min(options.rounds, HELD_ROUNDS); round++) {
      const [one, ten] = [await held(stage, path, 1), await held(stage, path, 10)];
      found.push({ one: one.each, ten: ten.each, further: (ten.each - one.each) / 9, join: one.result.join_bytes });
      console.error(`sessions-memory: ${title}: round ${round + 1}`);
    }
    const values = (key) => found.map((r) => r[key]);
    const both = (key) => [integer(median(values(key))), spread(values(key))];
    rows.push([title, ...both('one'), ...both('ten'), integer(median(values('further'))), integer(median(values('join')))]);
  }
  options.report.table(
    `Memory of ${integer(HELD)} idle Phoenix WebSockets, one worker: bytes each (PSS of all processes; without the kernel's socket buffers)`,
    ['', 'with one channel', 'spread', 'with ten channels', 'spread', 'each further channel', 'of which its join, as sent'], rows,
  );
}

module.exports = { sessions, sessionMemory };
