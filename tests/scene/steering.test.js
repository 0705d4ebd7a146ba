// The decision behind the answers: what it is kept in, what is told of it, and how gateways share one.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Redis, Steered, journal, scene, waitFor } = require('./lib');

const isNewer = (a, b) => ((a - b) >>> 0) !== 0 && ((a - b) >>> 0) < 0x80000000; // RFC 1982

const about = (state, ...kinds) => journal(state).filter((event) => kinds.includes(event.kind));
const words = ({ phase, subject, from, to, cause }) => [phase, subject, from, to, cause];

async function other(gateway, role) {
  const { pid } = (await gateway.processes())[role];
  process.kill(pid, 'SIGKILL');
  await waitFor(`another ${role}`, async () => {
    const now = (await gateway.processes())[role];
    return now?.state === 'ready' && now.pid !== pid;
  });
}

describe('what was decided', { concurrency: 2 }, () => {
  scene('outlives checker and gateway: nothing is answered anew before somebody has looked', async (s) => {
    const state = fs.mkdtempSync(path.join(s.temp(), 'state-'));
    const t = await Steered.start(s, { state });
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    const serial = await t.names.serial();
    await other(t.gateway, 'checker');
    assert.deepEqual([await t.now(), await t.names.serial()], ['b', serial]);

    await t.gateway.stop();
    assert.match(fs.readFileSync(path.join(state, 'steering'), 'latin1'), /^decision 1 \d+ \d+ \d+ \d+ /);
    const again = await s.region({ name: 'a', port: t.regions.a.port });
    again.freeze(); // whoever looks, waits
    const next = await Steered.start(s, { state, regions: t.regions, check: { interval: '1h', timeout: '1h', rise: 1 } });
    assert.deepEqual([await next.now(), await next.names.serial()], ['b', serial]);
    again.thaw();
    await next.until('a');
    assert.ok(isNewer(await next.names.serial(), serial));
  });

  scene('is told to the journal: who answers now and why, and the last resort as long as it lasts', async (s) => {
    const state = fs.mkdtempSync(path.join(s.temp(), 'state-'));
    const t = await Steered.start(s, { state, record: { last_resort: 'fail-static' } });
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    await t.regions.b.kill();
    await waitFor('the last resort', () => about(state, 'dns').some(({ phase }) => phase === 'begins'));
    assert.equal(await t.now(), 'b');
    await other(t.gateway, 'checker'); // who does not know what was told before
    await s.region({ name: 'a', port: t.regions.a.port });
    await t.until('a');
    await waitFor('the end of the last resort', () => about(state, 'dns').some(({ phase }) => phase === 'ends'));
    const told = about(state, 'dns');
    assert.deepEqual(told.map(words), [
      ['once', 'www.z.test', 'a', 'b', 'targets/a is down'],
      ['begins', 'www.z.test', 'b', 'b', 'targets/b is down'],
      ['ends', 'www.z.test', 'b', 'a', told[2].cause],
    ]);
    assert.match(told[2].cause, /targets\/a is up/);
    assert.ok(told[2].duration_ms > 0);
  });
});

describe('two gateways', { concurrency: 2 }, () => {
  const quorum = (redis) => ({ quorum: { redis: { url: redis.url, timeout: '200ms' }, lifetime: '1s', interval: '200ms' } });

  async function pair(s) {
    const redis = await Redis.start(s);
    const state = () => fs.mkdtempSync(path.join(s.temp(), 'state-'));
    const one = await Steered.start(s, { state: state(), more: { node: { name: 'one' }, ...quorum(redis) } });
    const two = await Steered.start(s, { state: state(), regions: one.regions, more: { node: { name: 'two' }, ...quorum(redis) } });
    const roles = async () => (await Promise.all([one, two].map(async (t) => (await t.gateway.status()).quorum?.role))).sort().join();
    await waitFor('one to lead, and one to follow', async () => (await roles()) === 'follows,leads');
    await Promise.all([one, two].map((t) => t.judged({ a: 'up', b: 'up' })));
    const leader = (await one.gateway.status()).quorum.role === 'leads' ? one : two;
    return { redis, one, two, leader, follower: leader === one ? two : one };
  }

  const serials = (...names) => Promise.all(names.map((t) => t.names.serial()));

  scene('answer the same under the same serial, and hear the operators of both', async (s) => {
    const { one, two, leader, follower } = await pair(s);
    await one.regions.a.kill();
    await Promise.all([one.until('b'), two.until('b')]);
    await waitFor('one serial', async () => new Set(await serials(one, two)).size === 1);
    const again = await s.region({ name: 'a', port: one.regions.a.port });
    await Promise.all([one.until('a'), two.until('a')]);
    await follower.ctl('force', 'targets/b', 'down'); // an operator anywhere
    await again.kill();
    await waitFor('the last resort on both', async () => [await one.now(), await two.now()].join() === 'ab,ab');
    assert.equal((await leader.gateway.status()).quorum.role, 'leads');
  });

  scene('go on when the leader dies, from what he decided', async (s) => {
    const { one, leader, follower } = await pair(s);
    await one.regions.a.kill();
    await Promise.all([leader.until('b'), follower.until('b')]);
    const before = await follower.names.serial();
    await leader.gateway.stop('SIGKILL');
    await waitFor('the other to lead', async () => (await follower.gateway.status()).quorum.role === 'leads');
    assert.equal(await follower.now(), 'b');
    assert.ok(!isNewer(before, await follower.names.serial()));
    await s.region({ name: 'a', port: one.regions.a.port });
    await follower.until('a');
    assert.ok(isNewer(await follower.names.serial(), before));
  });

  scene('each decide for themselves when Redis is gone, and agree again when it is back', async (s) => {
    const { redis, one, two } = await pair(s);
    await redis.process.stop('SIGKILL');
    await waitFor('both to be alone', async () => (await Promise.all([one, two].map(async (t) => (await t.gateway.status()).quorum.role))).join() === 'alone,alone');
    assert.deepEqual([await one.now(), await two.now()], ['a', 'a']);
    await one.regions.a.kill();
    await Promise.all([one.until('b'), two.until('b')]);
    await redis.begin();
    await waitFor('a leader', async () => (await Promise.all([one, two].map(async (t) => (await t.gateway.status()).quorum.role))).sort().join() === 'follows,leads');
    assert.deepEqual([await one.now(), await two.now()], ['b', 'b']);
    for (const t of [one, two]) {
      const told = about(t.names.more.state_dir, 'quorum').map(({ phase, subject, to }) => [phase, subject, to].join(' '));
      assert.ok(told.some((text) => /^begins (one|two) alone$/.test(text)), told.join());
      assert.ok(told.some((text) => /^ends (one|two) (leads|follows)$/.test(text)), told.join());
    }
  });
});
