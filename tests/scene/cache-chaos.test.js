// Everything at once, at random: clients of all kinds ask, leave, write and purge, the rules change, and the origin delays, fails, lies and changes its mind.
// Whatever happens, who gets an answer gets the right one: the body says for whom and for what it was made.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const zlib = require('node:zlib');
const { Cached, Raw, h2Connect, later, reply, scene, waitFor } = require('./lib');

const CLIENTS = 60;
const ROUNDS = 5;
const TURNS = Number(process.env.TIDEGATE_CHAOS_TURNS) || 40; // of each client
const SIZES = [0, 10, 3000, 70000, 400000];
const USERS = ['ann', 'bob', undefined];

// Numbers below `n`, the same ones for the same seed (xorshift).
function dice(seed) {
  let x = seed | 1;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % n;
  };
}

// "/t/17" is a path of the rules `t`; its number decides about the size of its answer and how it comes.
const pathOf = (roll) => `/${['public', 'token', 'network', 'first'][roll(4)]}/${roll(10)}`;
const sizeOf = (path) => SIZES[Number(path.split('/')[2]) % SIZES.length];
const bodyOf = (path, user) => {
  const text = `${path} for ${user ?? 'nobody'};`;
  return text.repeat(Math.ceil(sizeOf(path) / text.length)).slice(0, sizeOf(path));
};
const tagOf = (path, user) => `"${crypto.createHash('md5').update(`${path} ${user}`).digest('hex').slice(0, 8)}"`;

// The origin, in its moods.
function moody(roll) {
  return async ({ method, path, headers }, raw) => {
    const user = headers.authorization;
    const body = bodyOf(path, user);
    await later(roll(4) === 0 ? roll(30) : 0);
    if (method === 'POST') return reply('written', { status: roll(3) ? 201 : 500 });
    const mood = roll(20);
    if (mood === 0) return raw.reset();
    if (mood === 1) return reply('sorry', { status: 500 + roll(5) });
    const own = { ETag: tagOf(path, user), 'Content-Type': 'text/plain' };
    const control = ['private', 'no-cache', 'no-store', 'public, max-age=1', 'public, max-age=1'][roll(50)];
    if (control) own['Cache-Control'] = control;
    if (roll(3) === 0) own.Age = String(60 * roll(3));
    if (path.endsWith('3')) own.Vary = 'X-Lang';
    if (headers['if-none-match'] === own.ETag) return reply('', { status: 304, headers: { ...own, 'Content-Length': null } });
    if (mood === 2) {
      raw.write(reply(body, { headers: own }).subarray(0, -roll(Math.max(body.length, 1)) - 1));
      return raw.finish();
    }
    if (roll(2)) return reply(method === 'HEAD' ? '' : body, { headers: method === 'HEAD' ? { ...own, 'Content-Length': body.length } : own });
    const bytes = reply('', { headers: { ...own, 'Content-Length': null, 'Transfer-Encoding': 'chunked' } });
    if (method === 'HEAD') return bytes;
    const chunks = body ? `${body.length.toString(16)}\r\n${body}\r\n` : '';
    return Buffer.concat([bytes, Buffer.from(`${chunks}0\r\n\r\n`)]);
  };
}

// What is right about an answer to that request.
function check({ method, path, user, headers }, { status, fields, body }) {
  const what = `${method} ${path} ${user} ${JSON.stringify(headers)}: ${status} ${JSON.stringify(fields)}`;
  if (status >= 500) return;
  if (method === 'POST') {
    assert.equal(body.toString(), 'written', what);
    return;
  }
  assert.ok([200, 206, 304, 416].includes(status), what);
  // What the origin says is for everybody may have been made for anybody, but for a token's own.
  const makers = !path.startsWith('/token') && /public/.test(fields['cache-control'] ?? '') ? USERS : [user];
  if (fields.etag && status !== 416) assert.ok(makers.some((maker) => tagOf(path, maker) === fields.etag.replace('-gzip"', '"')), what);
  if (status === 304) assert.ok(headers['if-none-match'], what);
  if (method === 'HEAD' || status === 304 || status === 416) return;
  const coding = fields['content-encoding'];
  const choices = makers.map((maker) => bodyOf(path, maker));
  if (status === 200) {
    const plain = (coding === 'gzip' ? zlib.gunzipSync(body) : body).toString();
    assert.ok(choices.includes(plain), `${what}: ${plain.slice(0, 60)} (${plain.length} of ${sizeOf(path)})`);
  } else if (!coding) {
    const [, from, to] = fields['content-range'].match(/^bytes (\d+)-(\d+)\/\d+$/);
    assert.ok(choices.some((choice) => choice.slice(Number(from), Number(to) + 1) === body.toString()), what);
  }
}

function makeRequest(roll) {
  const path = pathOf(roll);
  const user = USERS[roll(USERS.length)];
  const headers = {};
  const method = ['GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'HEAD', 'POST'][roll(8)];
  if (user) headers.authorization = user;
  if (method !== 'POST') {
    if (roll(4) === 0) headers['accept-encoding'] = 'gzip';
    if (roll(6) === 0) headers.range = `bytes=${roll(20)}-${20 + roll(2000)}`;
    if (roll(6) === 0) headers['if-none-match'] = tagOf(path, user);
    if (roll(6) === 0) headers['cache-control'] = ['no-cache', 'max-age=0', 'no-store', 'only-if-cached'][roll(4)];
    if (roll(10) === 0) headers['x-lang'] = 'de';
    if (roll(20) === 0) headers.cookie = 'a=b';
  }
  return { method, path, user, headers };
}

class Broken extends Error {}

// One that keeps its connection while it can; it may leave in the middle of an answer, or read slowly.
async function playRaw(port, roll) {
  let raw = null;
  for (let i = 0; i < TURNS; i++) {
    raw ??= await Raw.connect(port);
    const asked = makeRequest(roll);
    const lines = Object.entries({ Host: 'a', ...asked.headers, ...(asked.method === 'POST' && { 'Content-Length': 2 }) }).map(([name, value]) => `${name}: ${value}\r\n`);
    raw.write(`${asked.method} ${asked.path} HTTP/1.1\r\n${lines.join('')}\r\n${asked.method === 'POST' ? 'hi' : ''}`);
    if (roll(12) === 0) {
      raw[['destroy', 'reset', 'finish'][roll(3)]]();
      if (roll(2)) await later(roll(5));
      raw = null;
      continue;
    }
    if (roll(15) === 0) {
      raw.pause();
      await later(roll(30));
      raw.resume();
    }
    try {
      const head = await raw.head(20000);
      let body = Buffer.alloc(0);
      if (asked.method !== 'HEAD' && head.status !== 304 && head.status !== 204) body = await readFramed(raw, head.headers);
      check(asked, { status: head.status, fields: head.headers, body });
      if (/close/i.test(head.headers.connection ?? '')) throw new Broken();
    } catch (error) {
      if (!(error instanceof Broken) && !/connection ended/.test(error.message)) throw error;
      raw.destroy(); // the origin broke off what was passed on, and so did the gateway
      raw = null;
    }
  }
  raw?.destroy();
}

async function readFramed(raw, headers) {
  if (headers['content-length'] !== undefined) return raw.take(Number(headers['content-length']), 20000);
  if (!/chunked/.test(headers['transfer-encoding'] ?? '')) throw new Broken();
  const parts = [];
  for (;;) {
    const size = await raw.read('a chunk', (bytes) => {
      const end = bytes.indexOf('\r\n');
      return end < 0 ? null : { value: parseInt(bytes.toString('latin1', 0, end), 16), size: end + 2 };
    }, 20000);
    assert.ok(size.value >= 0, 'a size of a chunk');
    parts.push((await raw.take(size.value + 2, 20000)).subarray(0, size.value));
    if (size.value === 0) return Buffer.concat(parts);
  }
}

// Streams of one connection, some of which are given up.
async function playH2(s, port, roll) {
  const session = await h2Connect(s, `http://127.0.0.1:${port}`);
  for (let i = 0; i < TURNS; i++) {
    const asked = makeRequest(roll);
    const stream = session.request({ ':path': asked.path, ':method': asked.method, ':authority': 'a', ...asked.headers }, { endStream: asked.method !== 'POST' });
    if (asked.method === 'POST') stream.end('hi');
    const isLeaving = roll(10) === 0;
    const answer = await new Promise((resolve, reject) => {
      const parts = [];
      let fields;
      stream.on('response', (headers) => {
        fields = headers;
        if (isLeaving) stream.close(8);
      });
      stream.on('data', (part) => parts.push(part));
      stream.on('error', () => {});
      stream.on('close', () => resolve(stream.rstCode === 0 && fields ? { status: fields[':status'], fields, body: Buffer.concat(parts) } : null));
      stream.setTimeout(20000, () => reject(new Error(`${asked.method} ${asked.path}: no answer`)));
    });
    if (answer && !isLeaving) check(asked, answer);
  }
  session.close();
}

describe('the cache, with everything at once', { concurrency: 1 }, () => {
  scene('nobody gets what is not theirs, or not whole, and everybody gets something', async (s) => {
    const seed = Number(process.env.TIDEGATE_CHAOS_SEED) || crypto.randomInt(1, 1 << 30);
    const rules = { fresh: '1m', stale: '1m', stale_if_error: '10m', negative: '20ms', wait: '2s', compress: ['gzip'] };
    const policies = {
      public: { ...rules, policy: 'stale-while-revalidate', tags: ['p'], purge_on_write: false },
      token: { ...rules, policy: 'stale-while-revalidate', scope: 'token', tags: ['t'] },
      network: { ...rules, policy: 'network-first', timeout: '10ms' },
      first: { ...rules, policy: 'cache-first' },
    };
    const c = await Cached.start(s, {}, {
      workers: 2,
      cache: { memory: '2MiB', max_entry: '256KiB' },
      answer: moody(dice(seed)),
      routes: Object.entries(policies).map(([name, cache]) => ({ name, path: `/${name}`, pool: 'p', cache })),
    });
    const before = await c.gateway.processes();
    let isOver = false;
    const purging = (async () => {
      const roll = dice(seed + 1);
      while (!isOver) {
        const words = [['tag', 'p'], ['--soft', 'tag', 't'], ['prefix', '/first/'], ['url', pathOf(roll)], ['all']][roll(5)];
        assert.equal((await c.gateway.ctl('purge', ...words)).code, 0);
        // Rules that come and go, and limits that change.
        const config = { ...c.config(), cache: { memory: '2MiB', max_entry: ['64KiB', '256KiB'][roll(2)] } };
        const other = [policies.first, { policy: 'off' }, { ...rules, policy: 'network-first' }][roll(3)];
        config.routes = config.routes.map((route) => (route.name === 'first' ? { ...route, cache: other } : route));
        await c.gateway.reload(config);
        await later(roll(500));
      }
    })();
    const counted = async () => {
      const metrics = await c.gateway.metrics();
      return ['hits', 'stale_served', 'coalesced', 'refreshes', 'fetches_failed', 'validated', 'purged'].map((name) => metrics.sum(`cache_${name}_total`));
    };
    let counts = [0];
    try {
      // Chance may leave one thing out; not in every round.
      for (let round = 0; round < ROUNDS && counts.includes(0); round++) {
        const roll = (i) => dice(seed + 100 + round * 31 + i * 7919);
        await Promise.all(Array.from({ length: CLIENTS }, (_, i) => (i % 3 ? playRaw(c.port, roll(i)) : playH2(s, c.port, roll(i)))));
        counts = await counted();
      }
    } catch (error) {
      error.message += ` (TIDEGATE_CHAOS_SEED=${seed})`;
      throw error;
    } finally {
      isOver = true;
    }
    await purging;
    const after = await c.gateway.processes();
    for (const name of ['worker-0', 'worker-1']) assert.equal(after[name].pid, before[name].pid, `${name} (seed ${seed})`);
    await waitFor('all clients to be gone', async () => (await c.gateway.metrics()).sum('client_connections') === 0, 10000);
    assert.ok(counts.every((count) => count > 0), `not put to the test: ${counts}`);
  });
});
