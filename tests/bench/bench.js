'use strict';
// The benchmarks. Rounds are interleaved - every program once, then every program again - so that whatever else the machine
// does hits all of them alike; what is printed is the median of the rounds.
const os = require('node:os');
const { execFileSync } = require('node:child_process');
const { parseArgs } = require('node:util');
const { Stage } = require('./lib/stage.js');
const processes = require('./lib/process.js');
const { program } = require('./lib/files.js');
const { ask, SLOW_MS } = require('./lib/origin.js');
const { peers, isThere } = require('./lib/peers.js');
const { rounds } = require('./lib/rounds.js');
const { failover } = require('./lib/failover.js');
const { sessions, sessionMemory } = require('./lib/sessions.js');
const { sessionFailover } = require('./lib/session_failover.js');
const { soak } = require('./soak.js');
const { ZONE, queries } = require('./lib/nameservers.js');
const { median, print, integer, ratio } = require('./lib/table.js');

const HTTP_CONNECTIONS = [50, 500];
const HTTP2 = { connections: 10, streams: 32 };
const STALE = { connections: 50, perSecond: 2000 };
const ECHO_CONNECTIONS = 500;
const ECHO_BYTES = 128;
const MANY_CONNECTIONS = 10000;

const fdLimit = () => {
  const line = /^Max open files\s+(\d+)/m.exec(require('node:fs').readFileSync('/proc/self/limits', 'utf8'));
  return Number(line[1]);
};

// What the findings are held against: those of nginx, or with `amongBest` the best of all but Tidegate's.
function compare(title, found, key, extra, amongBest = false) {
  const value = (name, field) => median(found.get(name).map((r) => r[field]));
  const others = [...found.keys()].filter((name) => (amongBest ? name !== 'tidegate' : name === 'nginx'));
  const base = (field, best) => (others.length > 0 ? best(...others.map((name) => value(name, field))) : 0);
  const relay = found.has('raw') ? value('raw', key) : null;
  const rows = [...found.keys()].map((name) => [
    peers[name].title,
    integer(value(name, key)),
    ratio(value(name, key), base(key, Math.max)),
    ...(relay === null ? [] : [ratio(value(name, key), relay)]),
    value(name, 'cpu_us').toFixed(2),
    ratio(value(name, 'cpu_us'), base('cpu_us', Math.min)),
    ...extra.map(([, field, format]) => format(value(name, field))),
  ]);
  const cpu = [...found.keys()].some((name) => 'names' in peers[name] && !('command' in peers[name])) ? 'CPU us each' : 'proxy CPU us each';
  const [fastest, least] = amongBest ? ['of the fastest other', 'of the least other'] : ['of nginx', 'of nginx'];
  const head = ['', 'per second', fastest, ...(relay === null ? [] : ['of plain relay']), cpu, least];
  print(title, [...head, ...extra.map(([name]) => name)], rows);
}

const milliseconds = (us) => (us / 1000).toFixed(2);

const latency = [['p50 ms', 'latency_p50_us', milliseconds], ['p99 ms', 'latency_p99_us', milliseconds]];
const ofHandshake = [['handshake p50 ms', 'handshake_p50_us', milliseconds], ['p99 ms', 'handshake_p99_us', milliseconds]];

// The programs side by side, one worker each: `measure(port)` in rounds, and a table of what was found.
async function sideBySide(stage, names, options, { what, title, connections, isSecure = false, key, extra = latency }, measure) {
  const started = [];
  for (const name of names.filter((n) => !isSecure || !peers[n].isBlind))
    started.push(await stage.start(name, 1, connections + 100, isSecure));
  const found = await rounds(started, options.rounds, what, ({ port }) => measure(port));
  for (const { child } of started) await processes.stop(child);
  compare(title, found, key, extra);
}

const echoArguments = (options) => [
  '--connections', ECHO_CONNECTIONS, '--size', ECHO_BYTES, '--warm-up', 1, '--seconds', options.seconds,
];

// ---- the benchmarks ----

async function http(stage, names, options) {
  for (const connections of HTTP_CONNECTIONS) {
    const title = `HTTP/1.1 requests, answers of 1 KiB, ${connections} kept connections with one request under way each, one worker`;
    const how = { what: 'http', title, connections, key: 'round_trips_per_second' };
    await sideBySide(stage, names, options, how, (port) =>
      stage.load(port, ['--http', '--connections', connections, '--warm-up', 1, '--seconds', options.seconds]));
  }
}

async function https(stage, names, options) {
  for (const connections of HTTP_CONNECTIONS) {
    const title = `The same over TLS 1.3, ${connections} connections, one worker`;
    const how = { what: 'https', title, connections, isSecure: true, key: 'round_trips_per_second' };
    await sideBySide(stage, names, options, how, (port) =>
      stage.load(port, ['--http', '--tls', '--connections', connections, '--warm-up', 1, '--seconds', options.seconds]));
  }
  for (const [kind, more] of [['full', []], ['resumed', ['--resume']]]) {
    const title = `TLS 1.3 connections with a ${kind} handshake (ECDSA P-256): opened, one request, closed; 50 at a time, one worker`;
    const resumedOf = (share) => `${Math.round(100 * share)} %`;
    const extra = [...ofHandshake, ['resumed', 'resumed_share', resumedOf]];
    const how = { what: `https, ${kind}`, title, connections: 2000, isSecure: true, key: 'cycles_per_second', extra };
    await sideBySide(stage, names, options, how, async (port) => {
      const result = await stage.load(port, [
        '--http', '--tls', '--mode', 'churn', '--connections', 50, '--sources', 20, '--seconds', options.seconds, ...more,
      ]);
      return { ...result, resumed_share: result.resumed / result.opened };
    });
  }
}

async function h2(stage, names, options) {
  const { connections, streams } = HTTP2;
  const title = `HTTP/2 over TLS 1.3, answers of 1 KiB, ${connections} connections with ${streams} streams each, one worker`;
  const how = { what: 'h2', title, connections: connections * streams, isSecure: true, key: 'round_trips_per_second', extra: [] };
  await sideBySide(stage, names, options, how, (port) => stage.loadHttp2(port, { ...HTTP2, seconds: options.seconds }));
}

async function echo(stage, names, options) {
  const title = `WebSocket echo, ${ECHO_BYTES} bytes, ${ECHO_CONNECTIONS} connections with one message in flight each, one worker: round trips`;
  const how = { what: 'echo', title, connections: ECHO_CONNECTIONS, key: 'round_trips_per_second' };
  await sideBySide(stage, names, options, how, (port) => stage.load(port, echoArguments(options)));
}

async function wss(stage, names, options) {
  const title = `The same echo over TLS 1.3 (wss), ${ECHO_CONNECTIONS} connections, one worker: round trips`;
  const how = { what: 'wss', title, connections: ECHO_CONNECTIONS, isSecure: true, key: 'round_trips_per_second' };
  await sideBySide(stage, names, options, how, (port) => stage.load(port, ['--tls', ...echoArguments(options)]));
}

async function churn(stage, names, options) {
  const title = 'WebSocket connections: opened, one message, closed with the closing handshake; 100 at a time, one worker';
  const how = { what: 'churn', title, connections: 2000, key: 'cycles_per_second', extra: ofHandshake };
  await sideBySide(stage, names, options, how, (port) =>
    stage.load(port, ['--mode', 'churn', '--connections', 100, '--sources', 20, '--seconds', options.seconds]));
}

// What idle connections take: `args` for the load tester say of which kind.
async function idleMemory(stage, names, { what, isSecure, args }) {
  // the tightest program holds both ends of every connection in one process
  const connections = Math.min(MANY_CONNECTIONS, Math.floor((fdLimit() - 2000) / 2));
  const rows = [];
  for (const name of names.filter((n) => !peers[n].isBlind)) {
    const { child, port } = await stage.start(name, 2, connections + 500, isSecure);
    await stage.load(port, ['--connections', 100, '--messages', 10, ...args]); // everything once, so that code is paged in
    const empty = await processes.settledPssBytes(child.pid);
    const result = await stage.hold(port, ['--connections', connections, ...args], () => processes.settledPssBytes(child.pid));
    await processes.stop(child);
    console.error(`memory: ${name}: alive=${result.alive} dropped=${result.dropped} failed=${result.failed} ${result.first_error}`);
    rows.push([
      peers[name].title,
      (empty / 1048576).toFixed(1),
      (result.inspected / 1048576).toFixed(1),
      integer((result.inspected - empty) / result.opened),
      `${integer(result.alive)} of ${integer(connections)}`,
    ]);
  }
  print(
    `Memory of ${what}, two workers, ${integer(connections)} connections (PSS of all processes; without the kernel's socket buffers)`,
    ['', 'MiB without', 'MiB with', 'bytes per connection', 'alive at the end'], rows,
  );
}

async function memory(stage, names) {
  const kinds = [
    { what: 'idle relayed WebSockets', isSecure: false, args: [] },
    { what: 'idle relayed WebSockets over TLS 1.3', isSecure: true, args: ['--tls'] },
    { what: 'idle HTTP/1.1 clients between two requests', isSecure: false, args: ['--http'] },
    { what: 'idle HTTP/1.1 clients over TLS 1.3', isSecure: true, args: ['--http', '--tls'] },
  ];
  for (const kind of kinds) await idleMemory(stage, names, kind);
}

async function many(stage, names) {
  const rows = [];
  for (const name of names) {
    const { maxWorkers = 2, isOneProcess = false, title } = peers[name];
    const descriptors = 2 * MANY_CONNECTIONS + 2000;
    if (isOneProcess && descriptors > fdLimit()) {
      console.error(`many: ${name}: left out, it needs ${descriptors} descriptors in one process, and ${fdLimit()} are allowed`);
      continue;
    }
    if (maxWorkers === 1) continue;
    const { child, port } = await stage.start(name, 2, MANY_CONNECTIONS + 500);
    const result = await stage.hold(port, ['--connections', MANY_CONNECTIONS, '--sources', 4], async () => null);
    await processes.stop(child);
    if (result.first_error !== '') console.error(`many: ${name}: ${result.first_error}`);
    rows.push([
      title, integer(result.opened), integer(result.failed), integer(result.dropped), integer(result.alive),
      result.open_seconds.toFixed(2), integer(result.opened_per_second),
    ]);
  }
  print(
    `${integer(MANY_CONNECTIONS)} WebSockets through one gateway, two workers: all opened, then one echo each`,
    ['', 'opened', 'failed', 'dropped', 'echoed', 'seconds to open', 'opened per second'], rows,
  );
}

// Runs `measure` for each peer as a cache of what `origin` answers to `path`, in rounds. What was not answered from the cache
// would be a measurement of something else.
async function cachesInRounds(stage, origin, names, options, { what, path, connections, isSecure = false }, measure) {
  const started = [];
  for (const name of names) {
    const { hasNoTls = false } = peers[name];
    const peer = await stage.startCache(name, origin.port, connections + 100, isSecure && !hasNoTls);
    await ask(peer.port, path, isSecure && !hasNoTls);
    started.push({ ...peer, isSecure: isSecure && !hasNoTls });
  }
  const found = await rounds(started, options.rounds, what, async (peer) => {
    const before = origin.count;
    const result = await measure(peer);
    if (origin.count !== before)
      throw new Error(`${what}: ${peer.name}: ${origin.count - before} of ${result.echoes} requests reached the origin`);
    return result;
  });
  for (const { child } of started) await processes.stop(child);
  return found;
}

async function cache(stage, names, options) {
  const origin = await stage.openOrigin();
  for (const connections of HTTP_CONNECTIONS) {
    const found = await cachesInRounds(stage, origin, names, options, { what: 'cache', path: '/kept', connections }, ({ port }) =>
      stage.load(port, ['--http', '--path', '/kept', '--connections', connections, '--warm-up', 1, '--seconds', options.seconds]));
    const title = `Cached answers of 1 KiB over HTTP/1.1, ${connections} kept connections with one request under way each, one worker`;
    compare(title, found, 'round_trips_per_second', latency, true);
  }
  const { connections, streams } = HTTP2;
  const how = { what: 'cache, h2', path: '/kept', connections: connections * streams, isSecure: true };
  const found = await cachesInRounds(stage, origin, names, options, how, ({ port, isSecure }) =>
    stage.loadHttp2(port, { ...HTTP2, seconds: options.seconds, isSecure, path: '/kept' }));
  const title = `Cached answers of 1 KiB over HTTP/2 and TLS 1.3 (Varnish: without TLS), ${connections} connections with ${streams} streams each, one worker`;
  compare(title, found, 'round_trips_per_second', [], true);
}

// Stale hits beside fresh ones: an entry that is stale from its first millisecond on, so that behind every hit the origin is
// being asked, and one that stays fresh.
async function stale(stage, names, options) {
  if (!names.includes('tidegate')) return;
  const origin = await stage.openOrigin();
  const kinds = [
    { title: 'fresh', fresh: '1h', areFetched: false },
    { title: 'stale, being refreshed', fresh: '1ms', areFetched: true },
  ];
  const started = [];
  for (const { fresh } of kinds) {
    const peer = await stage.startCache('tidegate', origin.port, STALE.connections + 100, false, { fresh, stale: '1h' });
    await ask(peer.port, '/slow/kept', false);
    started.push(peer);
  }
  const found = kinds.map(() => []);
  for (let round = 0; round < options.rounds; round++) {
    for (const [i, { title, areFetched }] of kinds.entries()) {
      const before = origin.count;
      const result = await stage.load(started[i].port, [
        '--http', '--path', '/slow/kept', '--connections', STALE.connections, '--pace', STALE.perSecond, '--warm-up', 1,
        '--seconds', options.seconds,
      ]);
      const fetches = (origin.count - before) / (options.seconds + 1);
      if (areFetched ? fetches * SLOW_MS < 500 : fetches > 0)
        throw new Error(`stale: ${title}: ${fetches.toFixed(1)} requests a second reached the origin`);
      found[i].push({ ...result, fetches });
    }
    console.error(`stale: round ${round + 1} of ${options.rounds}`);
  }
  for (const { child } of started) await processes.stop(child);
  const value = (i, field) => median(found[i].map((r) => r[field]));
  print(
    `Tidegate: stale hits beside fresh ones, answers of 1 KiB, ${STALE.perSecond} requests a second, an origin that takes ${SLOW_MS} ms`,
    ['', 'per second', 'fetches per second', 'p50 us', 'of fresh', 'p99 us', 'of fresh'],
    kinds.map(({ title }, i) => [
      title, integer(value(i, 'round_trips_per_second')), value(i, 'fetches').toFixed(1),
      ...['latency_p50_us', 'latency_p99_us'].flatMap((field) => [integer(value(i, field)), ratio(value(i, field), value(0, field))]),
    ]),
  );
}

function hitRatio() {
  console.log('\nHit ratio beside LRU: made-up traces, L1 and plain LRU bounded to a part of the bytes of all answers\n');
  execFileSync(program('tidegate-ratio'), { stdio: 'inherit' });
}

// Answers beside other name servers, one thread each with half a core: what each kind costs, and a mix of them.
async function dns(stage, names, options) {
  const kinds = [
    ['A: the addresses of 1,000 names', 'A'], ['AAAA', 'AAAA'], ['NXDOMAIN', 'NXDOMAIN'], ['TXT of 880 bytes', 'TXT'],
    ['the mix: 55 % A, 20 % AAAA, 20 % NXDOMAIN, 5 % TXT', 'mix'], ['the mix over TCP, 16 connections', 'mix', true],
  ];
  const started = [];
  for (const name of names) started.push(await stage.startNames(name));
  const tenant = stage.occupy();
  for (const [title, kind, isTcp = false] of kinds) {
    const found = await rounds(started, options.rounds, `dns, ${title}`, ({ port }) =>
      stage.loadNames(port, { queries: queries[kind], seconds: options.seconds, isTcp }));
    compare(`DNS, ${title}; half a core`, found, 'round_trips_per_second', [['bytes', 'answer_bytes', integer]], true);
  }
  const own = started.filter(({ name }) => name === 'tidegate');
  for (const { child } of started.filter((each) => !own.includes(each))) await processes.stop(child);
  if (own.length > 0) await steeredBesideFixed(stage, own[0], options);
  await processes.stop(tenant);
}

// What it costs that a name follows the verdicts.
async function steeredBesideFixed(stage, { child, port }, options) {
  const kinds = { 'fixed name': [`h7.${ZONE} A`], 'steered name': [`steered.${ZONE} A`] };
  const started = Object.keys(kinds).map((name) => ({ name, child, port, queries: kinds[name] }));
  const found = await rounds(started, options.rounds, 'dns, steered', (kind) =>
    stage.loadNames(port, { queries: kind.queries, seconds: options.seconds }));
  const value = (name, field) => median(found.get(name).map((r) => r[field]));
  print('DNS, Tidegate: A of a name whose answer follows the verdicts', ['', 'per second', 'CPU us each', 'of fixed'], Object.keys(kinds).map((name) => [
    name, integer(value(name, 'round_trips_per_second')), value(name, 'cpu_us').toFixed(2), ratio(value(name, 'cpu_us'), value('fixed name', 'cpu_us')),
  ]));
}

const relays = { echo, wss, churn, http, https, h2, memory, many, sessions, 'sessions-memory': sessionMemory };
const caches = { cache, stale };
const nameservers = { dns, failover };
const live = { 'sessions-failover': sessionFailover, soak };
const benchmarks = { ...relays, ...live, ...caches, ...nameservers, ratio: hitRatio };
// What a peer must know to take part, by benchmark.
const part = (name) => (name in caches ? 'cache' : name in nameservers ? 'names' : 'command');

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      peers: { type: 'string', default: Object.keys(peers).join(',') },
    },
  });
  const chosen = positionals.length > 0 ? positionals : Object.keys(benchmarks);
  const names = values.peers.split(',');
  for (const name of [...chosen.filter((b) => !(b in benchmarks)), ...names.filter((n) => !(n in peers))])
    throw new Error(`no such benchmark or peer: ${name}`);
  for (const name of names.filter((n) => !isThere(n))) console.error(`${name} is not built and is left out`);
  if (os.cpus().length < 2) throw new Error('two cores are needed: one for the proxy, one for load and backend');

  const stage = await Stage.open();
  const onSignal = () => stage.close().then(() => process.exit(130));
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    console.log(`${os.cpus()[0].model}, ${os.cpus().length} cores, Linux ${os.release()}`);
    for (const name of chosen) {
      const those = names.filter((n) => isThere(n) && part(name) in peers[n]);
      await benchmarks[name](stage, those, { rounds: Number(values.rounds), seconds: Number(values.seconds) });
    }
  } finally {
    await stage.close();
  }
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
