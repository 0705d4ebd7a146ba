// What the cache says it takes is what it takes, and no more than it may, with small answers in several codings, under load.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const { Cached, isSanitized, ownMemory, reply, scene, waitFor } = require('./lib');

const MB = 1 << 20;
const RULES = { policy: 'stale-while-revalidate', fresh: '1h', stale: '1h' };

// Of 1 KiB, different for each path, and worth compressing, though to no less than half of it: what codings take shows.
const textOf = (path) => crypto.createHash('shake256', { outputLength: 480 }).update(path).digest('hex').padEnd(1024);

// Asks for each of `requests` ({path, accept}) on one connection, many at a time.
async function askAll(s, c, requests) {
  const AT_A_TIME = 50;
  const raw = await s.connect(c.port);
  for (let at = 0; at < requests.length; at += AT_A_TIME) {
    const some = requests.slice(at, at + AT_A_TIME);
    raw.write(some.map(({ path, accept }) => `GET ${path} HTTP/1.1\r\nHost: a\r\n${accept ? `Accept-Encoding: ${accept}\r\n` : ''}\r\n`).join(''));
    for (const { accept } of some) {
      const { status, headers } = await raw.head(20000);
      assert.deepEqual([status, headers['content-encoding']], [200, accept]);
      await raw.take(Number(headers['content-length']), 20000);
    }
  }
  raw.destroy();
}

describe('the memory of the cache', { concurrency: 1 }, () => {
  for (const [title, codings] of [['as they came', [undefined]], ['in all codings', [undefined, 'gzip', 'br', 'zstd']]]) {
    scene(`answers of 1 KiB, ${title}`, async (s) => {
      const MEMORY = 8 * MB;
      const c = await Cached.start(s, { ...RULES, compress: ['gzip', 'br', 'zstd'] }, {
        answer: ({ path }) => reply(textOf(path), { headers: { 'Content-Type': 'application/json', ETag: '"1"', 'Cache-Control': 'public, max-age=60' } }),
        cache: { memory: `${MEMORY / MB}MiB` },
      });
      const worker = (await c.gateway.processes())['worker-0'].pid;
      const requests = (from, count) => Array.from({ length: count }, (_, i) => codings.map((accept) => ({ path: `/${from + i}`, accept }))).flat();
      await askAll(s, c, requests(0, 50)); // what codecs and buffers need
      await c.gateway.ctl('purge', 'all');
      const before = ownMemory(worker);
      let [said, taken] = [0, 0];
      for (let from = 100; from < 9100; from += 1000) {
        await askAll(s, c, requests(from, 1000));
        await waitFor('the figures', async () => {
          said = (await c.gateway.metrics()).sum('cache_bytes');
          return said > 0;
        });
        assert.ok(said <= MEMORY, `${said} bytes`);
        taken = ownMemory(worker) - before;
        if (!isSanitized) assert.ok(taken < 1.3 * MEMORY + MB, `${taken} bytes taken, ${said} said`);
      }
      const metrics = await waitFor('it to be full', async () => ((m) => m.sum('cache_evicted_total') > 0 && m)(await c.gateway.metrics()));
      assert.ok(said > 0.8 * MEMORY, `${said} bytes`);
      if (!isSanitized) assert.ok(taken > 0.7 * said, `${taken} bytes taken, ${said} said: counted for more than they are`);
      const each = said / metrics.sum('cache_entries');
      assert.ok(each > 1024 && each < 2.2 * 1024 + 700 * (codings.length - 1), `${each} bytes each`);
    });
  }
});
