'use strict';
// Answers from a cache, beside other caches; and stale ones beside fresh ones.
const processes = require('./process.js');
const { ask, SLOW_MS } = require('./origin.js');
const { compare, latency } = require('./compare.js');
const { peers } = require('./peers.js');
const { rounds } = require('./rounds.js');
const { HTTP_CONNECTIONS, HTTP2 } = require('./requests.js');
const { median, medianRatio, spread } = require('./figures.js');
const { integer, ratio } = require('./table.js');

const STALE = { connections: 50, perSecond: 2000 };

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
    compare(options.report, found, { id: `cache-${connections}`, title, key: 'round_trips_per_second', extra: latency, amongBest: true });
  }
  const { connections, streams } = HTTP2;
  const how = { what: 'cache, h2', path: '/kept', connections: connections * streams, isSecure: true };
  const found = await cachesInRounds(stage, origin, names, options, how, ({ port, isSecure }) =>
    stage.loadHttp2(port, { ...HTTP2, seconds: options.seconds, isSecure, path: '/kept' }));
  const title = `Cached answers of 1 KiB over HTTP/2 and TLS 1.3 (Varnish: without TLS), ${connections} connections with ${streams} streams each, one worker`;
  compare(options.report, found, { id: 'cache-h2', title, key: 'round_trips_per_second', extra: [], amongBest: true });
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
  const values = (i, field) => found[i].map((r) => r[field]);
  const cells = (i, field) => [integer(median(values(i, field))), spread(values(i, field)), ratio(medianRatio(values(i, field), values(0, field)))];
  options.report.table(
    `Tidegate: stale hits beside fresh ones, answers of 1 KiB, ${STALE.perSecond} requests a second, an origin that takes ${SLOW_MS} ms`,
    ['', 'per second', 'fetches per second', 'p50 us', 'spread', 'of fresh', 'p99 us', 'spread', 'of fresh'],
    kinds.map(({ title }, i) => [
      title, integer(median(values(i, 'round_trips_per_second'))), median(values(i, 'fetches')).toFixed(1),
      ...cells(i, 'latency_p50_us'), ...cells(i, 'latency_p99_us'),
    ]),
  );
}

module.exports = { cache, stale };
