// Which regions a name leads to: by tiers, by health, by weight, by an operator's word, and when nothing is left.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const path = require('node:path');
const { Nameserver, Steered, blackhole, onePool, scene, servers, recordTexts, waitFor } = require('./lib');

const TIERS = [{}, { tier: 'backup' }, { tier: 'emergency' }];

describe('failover', { concurrency: 2 }, () => {
  scene('tier by tier as regions die, and back as they return', async (s) => {
    const t = await Steered.start(s, { answers: TIERS });
    await t.until('a');
    await t.judged({ a: 'up', b: 'up', c: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    await t.regions.b.kill();
    await t.until('c');
    await s.region({ name: 'b', port: t.regions.b.port });
    await t.until('b');
    await s.region({ name: 'a', port: t.regions.a.port });
    await t.until('a');
  });

  scene('a region that hangs is as dead as one that is gone', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    t.regions.a.freeze();
    await t.until('b');
    t.regions.a.thaw();
    await t.until('a');
  });

  scene('all of the best tier are answered, and one of them that dies is not', async (s) => {
    const t = await Steered.start(s, { answers: [{}, {}, { tier: 'backup' }] });
    await t.until('a', 'b');
    await t.judged({ a: 'up', b: 'up', c: 'up' });
    await t.regions.b.kill();
    await t.until('a');
  });

  scene('a region is its entry point and what stands behind it', async (s) => {
    const t = await Steered.start(s, { answers: [{ requires: ['c'] }, { tier: 'backup' }, { tier: 'emergency' }] });
    await t.judged({ a: 'up', b: 'up', c: 'up' });
    assert.equal(await t.now(), 'a');
    await t.regions.c.kill(); // what a requires
    await t.until('b');
    await s.region({ name: 'c', port: t.regions.c.port });
    await t.until('a');
  });

  scene('the servers of a pool may be what a name follows', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const pool = onePool({ check: { type: 'http', path: '/health', interval: '200ms', timeout: '200ms' }, servers: servers([a, b]) });
    const port = await s.freePort();
    const t = await Steered.start(s, {
      answers: [{ target: 'p/a' }, { target: 'p/b', tier: 'backup' }], regions: {}, more: { ...pool, listen: [{ address: `127.0.0.1:${port}` }] },
    });
    await t.until('a');
    await a.kill();
    await t.until('b');
  });

  scene('IPv6 addresses go with the others, and a name without one of them has none', async (s) => {
    const t = await Steered.start(s, { answers: [{ aaaa: ['2001:db8::1'] }, { tier: 'backup' }] });
    await t.judged({ a: 'up', b: 'up' });
    assert.deepEqual(await t.names.data('www', 'AAAA'), ['2001:db8::1']);
    await t.regions.a.kill();
    await t.until('b');
    const none = await t.names.ask('www', 'AAAA');
    assert.deepEqual([none.rcode, none.answer.length, none.authority[0].type], ['NOERROR', 0, 'SOA']);
  });

  scene('a candidate that is a name is a CNAME', async (s) => {
    const t = await Steered.start(s, { answers: [{}, { tier: 'emergency', a: undefined, cname: 'static.example.net' }] });
    await t.judged({ a: 'up', b: 'up' });
    assert.equal(await t.now(), 'a');
    await t.regions.a.kill();
    const { answer } = await t.names.until('www', 'static.example.net.');
    assert.deepEqual(recordTexts(answer), ['CNAME static.example.net.']);
  });
});

describe('a gateway that sees nothing any more', { concurrency: 2 }, () => {
  scene('goes on with the last good answers, says so loudly, and believes its eyes when it has them again', async (s) => {
    const canary = await s.region({ name: 'canary' });
    const t = await Steered.start(s, { record: { last_resort: 'all' }, more: { canaries: { addresses: [`127.0.0.1:${canary.port}`] } } });
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    const serial = await t.names.serial();
    await canary.kill();
    await t.regions.b.kill();
    await t.gateway.process.line(/ERROR .*cut off and alone, the last decision about DNS stands/, 8000);
    assert.deepEqual([await t.now(), await t.names.serial()], ['b', serial]);
    assert.match(JSON.stringify((await t.gateway.health()).json.reasons), /this gateway is cut off/);
    await s.region({ name: 'canary', port: canary.port }); // both are gone, it was not us
    await t.until('a', 'b');
    await s.region({ name: 'a', port: t.regions.a.port });
    await t.until('a');
  });
});

describe('other ways to choose', { concurrency: 2 }, () => {
  scene('all-healthy: every region that stands, the emergency tier when none does', async (s) => {
    const t = await Steered.start(s, { answers: [{}, { tier: 'backup' }, { tier: 'emergency' }], record: { steer: 'all-healthy' } });
    await t.until('a', 'b');
    await t.judged({ a: 'up', b: 'up', c: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    await t.regions.b.kill();
    await t.until('c');
  });

  scene('weighted: one of them for each question, as often as it weighs', async (s) => {
    const t = await Steered.start(s, { answers: [{ weight: 3 }, { weight: 1 }, { weight: 0 }], record: { steer: 'weighted' } });
    await t.judged({ a: 'up', b: 'up', c: 'up' });
    const u = await t.names.udp();
    const count = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < 800; i++) {
      const { answer } = await u.ask(t.names.query('www'));
      assert.equal(answer.length, 1);
      for (const name of Object.keys(count)) if (answer[0].data === t.address(name)) count[name]++;
    }
    assert.ok(count.a > 500 && count.b > 120 && count.c === 0 && count.a + count.b === 800, JSON.stringify(count)); // 600 and 200; sigma is 12
    await t.regions.a.kill();
    await t.until('b');
  });

  for (const [resort, wanted] of [['all', 'abc'], ['emergency', 'c'], ['fail-static', 'b']]) {
    scene(`nothing stands, last_resort: ${resort}`, async (s) => {
      const t = await Steered.start(s, { answers: TIERS, record: { last_resort: resort } });
      await t.judged({ a: 'up', b: 'up', c: 'up' });
      await t.regions.c.kill();
      await t.judged({ c: 'down' });
      await t.regions.a.kill();
      await t.until('b'); // the last good answer
      await t.regions.b.kill();
      await t.judged({ b: 'down' });
      await t.until(...wanted);
      await s.region({ name: 'a', port: t.regions.a.port });
      await t.until('a');
    });
  }
});

describe('a name that stands for another', { concurrency: 2 }, () => {
  scene('alias: at the apex, beside other records, the addresses of a steered name, which follow its failover', async (s) => {
    const t = await Steered.start(s, {});
    await t.names.reload({ dns: { records: t.records([{ name: '@', alias: 'www.z.test', txt: ['beside it'] }]) } });
    await t.judged({ a: 'up', b: 'up' });
    const { answer: [{ owner, type }] } = await t.names.until('@', t.address('a'));
    assert.deepEqual([owner, type], ['z.test.', 'A']);
    assert.deepEqual(await t.names.data('@', 'TXT'), ['"beside it"']);
    await t.regions.a.kill();
    await t.names.until('@', t.address('b'));
    const { answer } = await t.names.until('www', t.address('b'));
    assert.ok((await t.names.ask('@')).answer[0].ttl <= Math.max(answer[0].ttl, 1), 'no longer than what it stands for');
  });

  scene('alias: a name of somebody else is looked up; what cannot be looked up yet is no "there is none"', async (s) => {
    const names = await Nameserver.start(s, { dns: { records: [{ name: '@', alias: 'localhost' }, { name: 'lost', alias: 'name.invalid' }] } });
    const { answer } = await names.until('@', '127.0.0.1');
    assert.deepEqual(recordTexts(answer), ['A 127.0.0.1']);
    assert.equal((await names.ask('lost')).rcode, 'SERVFAIL');
  });
});

describe('an operator', { concurrency: 2 }, () => {
  scene('forces a region out of the answers and in, whatever the checks say', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    await t.ctl('force', 'targets/a', 'down');
    await t.until('b');
    await t.ctl('force', 'targets/a', 'auto');
    await t.until('a');
    await t.ctl('force', 'targets/a', 'up');
    await t.regions.a.kill();
    await waitFor('the checks to say otherwise', async () => (await t.standing('a')).probed === 'down');
    assert.equal(await t.now(), 'a');
    await t.ctl('force', 'targets/a', 'auto');
    await t.until('b');
  });

  scene('drains a region: it is answered only when nothing else stands', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    await t.ctl('drain', 'targets/a');
    await t.until('b');
    await t.regions.b.kill();
    await t.until('a');
    await s.region({ name: 'b', port: t.regions.b.port });
    await t.until('b');
    await t.ctl('undrain', 'targets/a');
    await t.until('a');
  });

  scene('is remembered when the gateway is restarted', async (s) => {
    const state = fs.mkdtempSync(path.join(s.temp(), 'state-'));
    const t = await Steered.start(s, { state, answers: [{}, {}, { tier: 'backup' }] });
    await t.judged({ a: 'up', b: 'up', c: 'up' });
    await t.ctl('force', 'targets/a', 'down');
    await t.ctl('drain', 'targets/b');
    await t.until('c');
    await t.gateway.stop();
    const next = await Steered.start(s, { state, answers: t.answers, regions: t.regions });
    await waitFor('the checks to say otherwise', async () => (await next.standing('a')).probed === 'up');
    assert.equal(await next.now(), 'c');
    await next.ctl('force', 'targets/a', 'auto');
    await next.until('a');
    await next.ctl('undrain', 'targets/b');
    await next.until('a', 'b');
  });

  scene('drains a region by the configuration as well', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    const targets = t.targets();
    await t.names.reload({ more: { targets: { ...targets, a: { ...targets.a, drain: true } } } });
    await t.until('b');
    await t.names.reload({ more: { targets } });
    await t.until('a');
  });
});

// A verdict is in the log a moment before it is in the answers.
async function untilTtl(t, isWanted) {
  let ttl;
  await waitFor('the TTL', async () => {
    [{ ttl }] = (await t.names.ask('www')).answer;
    return isWanted(ttl);
  });
  return ttl;
}

describe('how long an answer may be kept', { concurrency: 2 }, () => {
  const calm = { interval: '10s', timeout: '1s', fall: 3, rise: 1, interval_undecided: '10s' };

  scene('never longer than the earliest moment at which it could be another one', async (s) => {
    const t = await Steered.start(s, { check: calm, record: { ttl_min: '1s', ttl_max: '1h' } });
    await t.judged({ a: 'up', b: 'up' });
    const ttl = await untilTtl(t, (now) => now > 10);
    assert.ok(ttl <= 30, `${ttl} s, three checks of 10 s`);
  });

  scene('within the bounds of the record', async (s) => {
    const [least, most] = await Promise.all([
      Steered.start(s, { check: calm, record: { ttl_min: '2m', ttl_max: '5m' } }),
      Steered.start(s, { check: calm, record: { ttl_min: '1s', ttl_max: '7s' } }),
    ]);
    for (const [t, wanted] of [[least, 120], [most, 7]]) {
      await t.judged({ a: 'up', b: 'up' });
      await untilTtl(t, (now) => now === wanted);
    }
  });

  scene('longer when an operator has the last word, for no check changes that', async (s) => {
    const t = await Steered.start(s, { check: calm, record: { ttl_min: '1s', ttl_max: '10m' } });
    await t.judged({ a: 'up', b: 'up' });
    await t.ctl('force', 'targets/a', 'up');
    await t.ctl('force', 'targets/b', 'up');
    const u = await t.names.udp();
    await waitFor('the longest TTL', async () => (await u.ask(t.names.query('www'))).answer[0].ttl === 600);
  });

  scene('unknown is not down: nobody has judged them, and they are answered as long as that, and briefly', async (s) => {
    const hole = await blackhole(s);
    const regions = { a: { port: hole }, b: { port: hole } };
    const t = await Steered.start(s, { regions, check: { interval: '1h', timeout: '1h', interval_undecided: '1h' }, record: { ttl_max: '1h', ttl_min: '3s' } });
    const { answer } = await t.until('a');
    assert.ok(answer[0].ttl >= 3, `${answer[0].ttl} s`);
  });
});
