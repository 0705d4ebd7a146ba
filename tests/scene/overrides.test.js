// What an operator says about a server counts, whatever the checks say, and outlives reload, checker and gateway.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const { metric, onePool, scene, servers, standings, verdicts, visit, waitFor, where } = require('./lib');

const SOON = { interval: '200ms', timeout: '200ms', jitter: '0%', type: 'tcp' };

async function say(gateway, ...words) {
  const { code, stdout, stderr } = await gateway.ctl(...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function checker(gateway) {
  return (await gateway.status()).processes.find((each) => each.role === 'checker');
}

describe('an operator', { concurrency: true }, () => {
  scene('forces a server down and up; checker, reload and restart do not forget it', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const state_dir = fs.mkdtempSync(`${s.temp()}/state-`);
    const config = onePool({ check: SOON, servers: servers([a, b], {}, { tier: 'backup' }) }, { state_dir });
    const gateway = await s.gateway(config);
    await verdicts(gateway, { a: 'up', b: 'up' });
    assert.equal(await where(s, gateway), 'a');

    const mark = gateway.process.mark();
    assert.equal(await say(gateway, 'force', 'p/a', 'down'), 'p/a: down\n');
    const forced = (await standings(gateway)).a;
    assert.deepEqual([forced.state, forced.forced, forced.probed], ['down', true, 'up']);
    assert.deepEqual(await Promise.all(['a', 'b'].map((server) => metric(gateway, 'server_forced', { server }))), [1, 0]);
    assert.match((await gateway.ctl('status')).stdout, /\ba +.*down forced/);
    await gateway.process.line(/server changed.*server=p\/a old=up new=down cause=forced/, 4000, mark);
    assert.equal(await where(s, gateway), 'b');

    assert.equal((await gateway.ctl('reload')).code, 0);
    assert.equal((await standings(gateway)).a.state, 'down');
    const { pid } = await checker(gateway);
    process.kill(pid, 'SIGKILL');
    await waitFor('another checker', async () => {
      const now = await checker(gateway);
      return now?.state === 'ready' && now.pid !== pid;
    });
    assert.deepEqual([(await standings(gateway)).a.state, (await standings(gateway)).a.forced], ['down', true]);
    await gateway.stop();

    const second = await s.gateway(config, { name: 'second' });
    const later = (await standings(second)).a;
    assert.deepEqual([later.state, later.forced, later.since], ['down', true, forced.since]);
    assert.equal(await where(s, second), 'b');
    await say(second, 'force', 'p/a', 'auto');
    const free = (await standings(second)).a;
    assert.deepEqual([free.state, free.forced], ['up', false]);
    assert.equal(await where(s, second), 'a');

    await a.kill();
    await verdicts(second, { a: 'down' });
    await say(second, 'force', 'p/a', 'up');
    assert.deepEqual([(await standings(second)).a.state, (await standings(second)).a.probed], ['up', 'down']);
  });

  scene('drains a server: no new sessions, those it has stay', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const state_dir = fs.mkdtempSync(`${s.temp()}/state-`);
    const config = onePool({ check: SOON, servers: servers([a, b], {}, { tier: 'backup' }) }, { state_dir });
    const gateway = await s.gateway(config);
    await verdicts(gateway, { a: 'up', b: 'up' });
    const early = await visit(s, gateway);
    assert.equal(early.region, 'a');
    assert.equal(await say(gateway, 'drain', 'p/a'), 'p/a: drain\n');
    assert.equal(await where(s, gateway), 'b');
    const now = (await standings(gateway)).a;
    assert.deepEqual([now.state, now.draining, now.drained_by_operator], ['up', true, true]);
    assert.equal(await early.ask('still here'), 'still here');
    await gateway.stop();

    const second = await s.gateway(config, { name: 'second' });
    assert.equal((await standings(second)).a.draining, true);
    assert.equal(await where(s, second), 'b');
    await say(second, 'undrain', 'p/a');
    assert.equal(await where(s, second), 'a');
  });

  scene('is told what makes no sense', async (s) => {
    const a = await s.region({ name: 'a' });
    const gateway = await s.gateway(onePool({ check: SOON, servers: servers([a]) }));
    await verdicts(gateway, { a: 'up' });
    for (const words of [['force', 'p/a'], ['force', 'p/a', 'sideways'], ['force', 'a', 'up'], ['drain'], ['drain', 'p/a b'], ['drain', '--soft', 'p/a']])
      assert.equal((await gateway.ctl(...words)).code, 64, words.join(' '));
    const absent = await gateway.ctl('drain', 'p/nobody');
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /drain p\/nobody: no such server/);
    const without = await gateway.ctl('force', 'p/a', 'down');
    assert.match(without.stdout, /^p\/a: down/);
  });
});
