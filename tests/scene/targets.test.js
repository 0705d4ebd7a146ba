// What DNS answers about: checked, forced and drained like servers, told of in the journal, with or without a gateway beside it.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const path = require('node:path');
const { journal, scene, waitFor } = require('./lib');

const CHECK = { type: 'http', interval: '100ms', timeout: '80ms', rise: 1, fall: 2 };
const NOBODY = { redis: { url: 'redis://127.0.0.1:1' } }; // the others are away: each judges alone

// Two targets and nothing else, as a checker on a host of its own has them.
async function twoEdges(s) {
  const [us, eu] = await Promise.all([s.region({ name: 'us-edge' }), s.region({ name: 'eu-edge' })]);
  const dir = fs.mkdtempSync(path.join(s.temp(), 'state-'));
  const target = (region) => ({ check: { ...CHECK, url: `http://127.0.0.1:${region.port}/health` } });
  const config = { state_dir: dir, listen: undefined, targets: { 'us-edge': target(us), 'eu-edge': target(eu) }, quorum: NOBODY };
  const gateway = await s.gateway(config);
  const told = (what, members) =>
    waitFor(what, () => journal(dir).find((e) => Object.entries(members).every(([key, value]) => e[key] === value)));
  await Promise.all(['us-edge', 'eu-edge'].map((name) => told(`${name} to be up`, { kind: 'up', subject: `targets/${name}` })));
  return { us, eu, gateway, config, told };
}

describe('targets', { concurrency: true }, () => {
  scene('one that goes down is in the journal, with its cause, and so is its way back', async (s) => {
    const { us, told } = await twoEdges(s);
    await us.kill();
    const down = await told('the outage', { kind: 'down', subject: 'targets/us-edge' });
    assert.equal(down.from, 'up');
    assert.match(down.cause, /refused|unreachable/);
    await s.region({ name: 'us-edge', port: us.port });
    const up = await told('the recovery', { kind: 'up', subject: 'targets/us-edge', phase: 'ends' });
    assert.ok(up.duration_ms > 0);
  });

  scene('an operator forces one, and drains another', async (s) => {
    const { gateway, told } = await twoEdges(s);
    assert.equal((await gateway.ctl('force', 'targets/us-edge', 'down')).code, 0);
    await told('the force', { kind: 'forced', subject: 'targets/us-edge', phase: 'begins', to: 'down' });
    assert.equal((await gateway.ctl('drain', 'targets/eu-edge')).code, 0);
    await told('the drain', { kind: 'drain', subject: 'targets/eu-edge', phase: 'begins' });
    assert.equal((await gateway.ctl('force', 'targets/us-edge', 'auto')).code, 0);
    await told('its end', { kind: 'forced', subject: 'targets/us-edge', phase: 'ends' });
  });

  scene('an outage goes on over a reload, and ends when the target is removed', async (s) => {
    const { us, gateway, config, told } = await twoEdges(s);
    await us.kill();
    await told('the outage', { kind: 'down', subject: 'targets/us-edge' });
    await gateway.reload({ ...config, drain: { time: '1s' } });
    assert.equal(journal(config.state_dir).filter((e) => e.subject === 'targets/us-edge' && e.to === 'removed').length, 0);
    await gateway.reload({ ...config, targets: { 'eu-edge': config.targets['eu-edge'] } });
    await told('its end', { kind: 'up', subject: 'targets/us-edge', phase: 'ends', to: 'removed' });
  });

  scene('without listeners there are no workers, and health does not miss them; a reload brings both', async (s) => {
    const { us, gateway, config } = await twoEdges(s);
    assert.deepEqual(Object.keys(await gateway.processes()).sort(), ['admin', 'checker', 'supervisor']);
    assert.equal((await gateway.health()).status, 200);
    const health = (await gateway.health()).json;
    assert.deepEqual(health.reasons.filter((reason) => !/Redis/.test(reason)), []);
    const { listen: _, ...rest } = config; // the usual one is filled in
    const pools = { api: { check: { type: 'none' }, servers: [{ name: 'a', url: `http://127.0.0.1:${us.port}` }] } };
    await gateway.reload({ ...rest, pools, routes: [{ pool: 'api' }] });
    await waitFor('a worker', async () => (await gateway.processes())['worker-0']?.state === 'ready');
    await gateway.reload(config);
    await waitFor('no worker', async () => !('worker-0' in (await gateway.processes())));
    await gateway.stop('SIGQUIT'); // nothing to drain: it ends at once
  });
});
