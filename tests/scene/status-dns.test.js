// What people and monitors see of names that follow regions: the same story in /health, /status, /metrics, on the first page and in tidegatectl.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe } = require('node:test');
const { Redis, Steered, get, scene, waitFor } = require('./lib');

const health = (t) => get(t.gateway.adminPort, '/health');
const record = async (t) => (await t.gateway.status()).dns.records[0];

describe('a steered name', { concurrency: 2 }, () => {
  scene('is shown with what it is answered with, and why', async (s) => {
    const t = await Steered.start(s, { answers: [{}, { tier: 'backup' }], record: { last_resort: 'all' } });
    await t.judged({ a: 'up', b: 'up' });
    await waitFor('a healthy gateway', async () => (await health(t)).json.status === 'ok');
    const { zone, role, serial, records } = (await t.gateway.status()).dns;
    assert.deepEqual([zone, role, records[0].name, records[0].chosen, records[0].last_resort], ['z.test', 'alone', 'www.z.test', ['a'], false]);
    assert.equal(serial, await t.names.serial());
    assert.ok(records[0].ttl_s >= 1);
    assert.equal((await t.gateway.status()).quorum, undefined);

    await t.regions.a.kill();
    await t.until('b');
    const one = await health(t);
    assert.equal(one.status, 200);
    assert.equal(one.json.status, 'degraded');
    assert.match(one.json.reasons.join('; '), /^target a is down: /);
    assert.deepEqual(one.json.dns, [{ name: 'www.z.test', status: 'ok', last_resort: false, answers: ['b'] }]);

    await t.regions.b.kill();
    await t.until('a', 'b');
    const none = await health(t);
    assert.equal(none.status, 200); // others ask this, and this gateway is well
    assert.match(none.json.reasons.join('; '), /nothing stands that www\.z\.test could be answered with, its last resort is: a, b/);
    const m = await t.gateway.metrics();
    assert.deepEqual(['a', 'b'].map((target) => m.sum('target_up', { target })), [0, 0]);
    assert.equal(m.sum('dns_last_resort', { name: 'www.z.test' }), 1);
    assert.deepEqual(['a', 'b'].map((answer) => m.sum('dns_answers_chosen', { answer })), [1, 1]);
    assert.equal(m.sum('dns_serial'), await t.names.serial());
    assert.match((await get(t.gateway.adminPort, '/')).text, /^target a: down\ntarget b: down\nname www\.z\.test: a, b for \d+ s, last resort$/m);
    const screen = (await t.gateway.ctl('status')).stdout;
    assert.match(screen, /^targets\/a +down /m);
    assert.match(screen, /^dns z\.test: alone, serial \d+, /m);
    assert.match(screen, /^ +www\.z\.test +a b +\d+s +last resort$/m);
  });

  scene('follows what an operator says about a target, over reload and another checker', async (s) => {
    const state = fs.mkdtempSync(path.join(s.temp(), 'state-'));
    const t = await Steered.start(s, { state, answers: [{}, { tier: 'backup' }] });
    await t.judged({ a: 'up', b: 'up' });
    await t.ctl('force', 'targets/a', 'down');
    await t.until('b');
    const forced = await t.standing('a');
    assert.deepEqual([forced.state, forced.forced, forced.probed], ['down', true, 'up']);
    assert.equal((await t.gateway.metrics()).sum('target_forced', { target: 'a' }), 1);
    assert.match((await health(t)).json.reasons.join('; '), /target a is down: an operator says so/);
    assert.equal((await t.gateway.ctl('reload')).code, 0);
    const { pid } = (await t.gateway.processes()).checker;
    process.kill(pid, 'SIGKILL');
    await waitFor('another checker', async () => {
      const now = (await t.gateway.processes()).checker;
      return now?.state === 'ready' && now.pid !== pid;
    });
    assert.deepEqual([(await t.standing('a')).state, await t.now()], ['down', 'b']);
    await t.ctl('force', 'targets/a', 'auto');
    await t.until('a');

    await t.ctl('drain', 'targets/a');
    await t.until('b');
    assert.equal((await t.standing('a')).draining, true);
    await t.ctl('drain', 'targets/b'); // nothing else is left: then what drains is answered
    await t.until('a');
    assert.equal((await record(t)).draining, true);
    assert.match((await health(t)).json.reasons.join('; '), /www\.z\.test is answered with what drains, nothing else stands: a/);
    await t.ctl('undrain', 'targets/a', 'targets/b');
    await waitFor('all to be well', async () => (await health(t)).json.status === 'ok');
    assert.equal(await t.now(), 'a');
    assert.equal((await t.gateway.ctl('force', 'targets/nobody', 'down')).code, 1);
  });
});

describe('a quorum', { concurrency: 2 }, () => {
  scene('shows who says what; without Redis each gateway says that it is alone, and is not down for that', async (s) => {
    const redis = await Redis.start(s);
    const quorum = { quorum: { redis: { url: redis.url, timeout: '200ms' }, lifetime: '1s', interval: '200ms', group: 'edge' } };
    const one = await Steered.start(s, { more: { node: { name: 'one', region: 'us' }, ...quorum } });
    const two = await Steered.start(s, { regions: one.regions, more: { node: { name: 'two', region: 'eu' }, ...quorum } });
    const of = async (t) => (await t.gateway.status()).quorum;
    await waitFor('one to lead, one to follow, all to be up', async () => {
      const [first, second] = [await of(one), await of(two)];
      const all = [...first.views, ...second.views].flatMap((view) => Object.values(view.says));
      return [first.role, second.role].sort().join() === 'follows,leads' && all.length === 8 && all.every((word) => word === 'up');
    });
    const seen = await of(one);
    assert.deepEqual([seen.group, seen.connected, seen.voters], ['edge', true, 2]);
    assert.deepEqual(seen.peers.map(({ node, region, kind, cut_off }) => [node, region, kind, cut_off]), [['two', 'eu', 'gateway', false]]);
    assert.ok(seen.peers[0].age_ms < 5000);
    assert.equal(seen.leader, (await of(two)).leader);
    assert.equal((await one.gateway.metrics()).sum('quorum_peers'), 1);
    assert.equal((await health(one)).json.status, 'ok');

    await two.ctl('force', 'targets/a', 'down');
    await one.until('b');
    const view = (await of(one)).views.find(({ server }) => server === 'targets/a');
    assert.deepEqual(view.says, { one: 'up', two: 'down forced' });
    assert.match(view.effective, /^down/);
    const screen = (await one.gateway.ctl('status')).stdout;
    assert.match(screen, /^ +SERVER +TOGETHER +one +two$/m);
    assert.match(screen, /^ +targets\/a +down forced +up +down forced$/m);
    await two.ctl('force', 'targets/a', 'auto');

    await redis.kill();
    await waitFor('one to be alone', async () => (await of(one)).role === 'alone' && (await of(one)).peers.length === 0);
    const alone = await health(one);
    assert.equal(alone.status, 200);
    assert.equal(alone.json.status, 'degraded');
    assert.match(alone.json.reasons.join('; '), /the quorum's Redis is out of reach, this gateway judges alone/);
    const m = await one.gateway.metrics();
    assert.deepEqual([m.sum('quorum_connected'), m.sum('quorum_peers'), m.sum('quorum_role', { role: 'alone' })], [0, 0, 1]);
    assert.match((await one.gateway.ctl('events')).stdout, /quorum +one judges alone \(/);
  });
});
