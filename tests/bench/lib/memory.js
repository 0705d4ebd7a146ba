'use strict';
// Many connections: what idle ones take, how ten thousand are opened, and whether a message costs more when there are more.
const fs = require('node:fs');
const processes = require('./process.js');
const { peers } = require('./peers.js');
const { median, spread } = require('./figures.js');
const { integer, ratio } = require('./table.js');

const MANY_CONNECTIONS = 10000;
const GROWTH = { counts: [100, 1000, 9000], held: [1000, 5000, 9000], perSecond: 10000, bytes: 128 };
const SETTLED_ROUNDS = 3; // memory hardly differs from one round to the next

const fdLimit = () => Number(/^Max open files\s+(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))[1]);
// The tightest program holds both ends of every connection in one process.
const connectionLimit = () => Math.floor((fdLimit() - 2000) / 2);
const warmUp = (stage, port, args) => stage.load(port, ['--connections', 100, '--messages', 10, ...args]); // so that code is paged in

// In rounds like all others, but each time in processes that have just been started.
async function freshRounds(names, count, what, measure) {
  const found = new Map(names.map((one) => [one, []]));
  for (let round = 0; round < count; round++) {
    for (let i = 0; i < names.length; i++) {
      const one = names[(i + round) % names.length];
      found.get(one).push(await measure(one, round));
    }
    console.error(`${what}: round ${round + 1} of ${count}`);
  }
  return found;
}

// Idle connections in a program of two workers: its memory without and with them, and each one's part.
async function held(stage, one, { isSecure, args }, connections) {
  const { child, port } = await stage.start(one, 2, connections + 500, isSecure);
  await warmUp(stage, port, args);
  const empty = await processes.settledPssBytes(child.pid);
  const result = await stage.hold(port, ['--connections', connections, ...args], () => processes.settledPssBytes(child.pid));
  await processes.stop(child);
  if (result.alive !== connections)
    console.error(`memory: ${one}: alive=${result.alive} dropped=${result.dropped} failed=${result.failed} ${result.first_error}`);
  return { empty, full: result.inspected, each: (result.inspected - empty) / result.opened, alive: result.alive };
}

async function memory(stage, names, options) {
  const kinds = [
    { id: 'memory', what: 'idle relayed WebSockets', isSecure: false, args: [] },
    { id: 'memory-tls', what: 'idle relayed WebSockets over TLS 1.3', isSecure: true, args: ['--tls'] },
    { id: 'memory-http', what: 'idle HTTP/1.1 clients between two requests', isSecure: false, args: ['--http'] },
    { id: 'memory-https', what: 'idle HTTP/1.1 clients over TLS 1.3', isSecure: true, args: ['--http', '--tls'] },
  ];
  const connections = Math.min(MANY_CONNECTIONS, connectionLimit());
  const those = names.filter((n) => !peers[n].isBlind);
  for (const kind of kinds) {
    const count = Math.min(options.rounds, SETTLED_ROUNDS);
    const found = await freshRounds(those, count, `memory, ${kind.what}`, (one) => held(stage, one, kind, connections));
    const values = (one, field) => found.get(one).map((r) => r[field]);
    const mebibytes = (one, field) => (median(values(one, field)) / 1048576).toFixed(1);
    options.report.table(
      `Memory of ${kind.what}, two workers, ${integer(connections)} connections (PSS of all processes; without the kernel's socket buffers)`,
      ['', 'MiB without', 'MiB with', 'bytes per connection', 'spread', 'alive at the end'],
      those.map((one) => [
        peers[one].title, mebibytes(one, 'empty'), mebibytes(one, 'full'), integer(median(values(one, 'each'))), spread(values(one, 'each')),
        `${integer(Math.min(...values(one, 'alive')))} of ${integer(connections)}`,
      ]),
    );
    options.report.measure(kind.id, found, ['each', 'empty', 'full', 'alive']);
  }
}

async function many(stage, names, options) {
  const descriptors = 2 * MANY_CONNECTIONS + 2000;
  const isLeftOut = (one) => peers[one].maxWorkers === 1 || (peers[one].isOneProcess && descriptors > fdLimit());
  const those = names.filter((one) => !isLeftOut(one));
  const found = await freshRounds(those, options.rounds, 'many', async (one) => {
    const { child, port } = await stage.start(one, 2, MANY_CONNECTIONS + 500);
    const result = await stage.hold(port, ['--connections', MANY_CONNECTIONS, '--sources', 4], async () => null);
    await processes.stop(child);
    if (result.first_error !== '') console.error(`many: ${one}: ${result.first_error}`);
    return result;
  });
  const values = (one, field) => found.get(one).map((r) => r[field]);
  options.report.table(
    `${integer(MANY_CONNECTIONS)} WebSockets through one gateway, two workers: all opened, then one echo each`,
    ['', 'opened', 'failed', 'dropped', 'echoed', 'seconds to open', 'spread', 'opened per second'],
    those.map((one) => [
      peers[one].title, ...['opened', 'failed', 'dropped', 'alive'].map((field) => integer(median(values(one, field)))),
      median(values(one, 'open_seconds')).toFixed(2), spread(values(one, 'open_seconds')), integer(median(values(one, 'opened_per_second'))),
    ]),
  );
  const missing = names.filter((one) => peers[one].isOneProcess && isLeftOut(one)).map((one) => peers[one].title);
  if (missing.length > 0)
    options.report.remark(`${missing.join(' and ')} left out: ${integer(descriptors)} descriptors in one process, and ${integer(fdLimit())} are allowed here.`);
  options.report.measure('many', found, ['opened', 'failed', 'dropped', 'alive', 'open_seconds', 'opened_per_second']);
}

// One program with so many connections: its memory while they are idle, and the processor time of a message at the common rate.
async function grown(stage, one, count, { isSent, seconds }) {
  const { child, port } = await stage.start(one, 1, count + 500);
  await warmUp(stage, port, []);
  const found = { held: (await stage.hold(port, ['--connections', count], () => processes.settledPssBytes(child.pid))).inspected };
  if (isSent) {
    const args = ['--connections', count, '--size', GROWTH.bytes, '--pace', GROWTH.perSecond, '--warm-up', 1, '--seconds', Math.max(2, seconds)];
    const result = await stage.loadMetered(port, args, child);
    const { cpu_us: used, seconds: metered } = result.used;
    Object.assign(found, { cpu_us: used / metered / result.round_trips_per_second, rate: result.round_trips_per_second });
  }
  await processes.stop(child);
  return found;
}

// Bytes of each connection more, from one number of them to the next. What a program has at the start, and what it has left
// from warming up and puts to use first, is in none of them.
const spansOf = (held) => held.slice(1).map((to, i) => ({ from: held[i], to, id: `each_${to}` }));

async function growth(stage, names, options) {
  const fit = (counts) => counts.filter((count) => count <= connectionLimit());
  const counts = fit(GROWTH.counts);
  const spans = spansOf(fit(GROWTH.held));
  // a buffer of 32 KiB for each direction of each connection: left out for the machine's sake
  const those = names.filter((one) => !peers[one].hasLargeConnections);
  const found = await freshRounds(those, options.rounds, 'growth', async (one) => {
    const all = {}, held = {};
    for (const count of new Set([...counts, ...fit(GROWTH.held)])) {
      const isSent = counts.includes(count);
      const { held: bytes, cpu_us: cpu, rate } = await grown(stage, one, count, { isSent, seconds: options.seconds });
      held[count] = bytes;
      if (isSent) Object.assign(all, { [`cpu_us_${count}`]: cpu, [`rate_${count}`]: rate });
    }
    for (const { from, to, id } of spans) all[id] = (held[to] - held[from]) / (to - from);
    return all;
  });
  const values = (one, field) => found.get(one).map((r) => r[field]);
  const grew = (one, most, fewest) => ratio(median(found.get(one).map((r) => r[most] / r[fewest])));
  const [fewest, most] = [counts[0], counts.at(-1)];
  options.report.table(
    `Growth: WebSocket echo, ${GROWTH.bytes} bytes, ${integer(GROWTH.perSecond)} messages a second in all, one worker: proxy CPU us each by the number of connections`,
    ['', ...counts.map(integer), `spread at ${integer(most)}`, `${integer(most)} to ${integer(fewest)}`],
    those.map((one) => [
      peers[one].title, ...counts.map((count) => median(values(one, `cpu_us_${count}`)).toFixed(2)), spread(values(one, `cpu_us_${most}`)),
      grew(one, `cpu_us_${most}`, `cpu_us_${fewest}`),
    ]),
  );
  const last = spans.at(-1);
  if (last !== undefined) options.report.table(
    'Growth: bytes of process memory of each idle connection more, one worker (PSS)',
    ['', ...spans.map(({ from, to }) => `from ${integer(from)} to ${integer(to)}`), 'spread of the last', 'last to first'],
    those.map((one) => [peers[one].title, ...spans.map(({ id }) => integer(median(values(one, id)))), spread(values(one, last.id)), grew(one, last.id, spans[0].id)]),
  );
  options.report.measure('growth', found, [...counts.flatMap((count) => [`cpu_us_${count}`, `rate_${count}`]), ...spans.map(({ id }) => id)]);
}

module.exports = { memory, many, growth, GROWTH };
