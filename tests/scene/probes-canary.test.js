// The canary of websocket checks: a region that answers every heartbeat and is cut off from the others is found out by a broadcast that
// does not arrive.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { metric, onePool, scene, standings, verdicts, waitFor } = require('./lib');

const CHECK = {
  ...{ type: 'websocket', speak: 'phoenix', path: '/socket/websocket?vsn=2.0.0', interval: '300ms', timeout: '300ms', jitter: '0%' },
  canary: { topic: 'realtime:canary', peer: 'p/there' },
};
const NONE = { check: { canary: { topic: '', peer: '' } } }; // the peer is checked as well, by its heartbeat alone

const pool = (here, there, check = {}) => onePool({
  check: { ...CHECK, ...check },
  servers: [{ name: 'here', url: here.url }, { name: 'there', url: there.url, ...NONE }],
});

// As many more probes, whatever they say.
async function probes(gateway, count) {
  const asked = () => metric(gateway, 'probes_total');
  const before = await asked();
  await waitFor(`${count} more probes`, async () => (await asked()) >= before + count);
}

describe('canary', { concurrency: true }, () => {
  scene('a broadcast crosses while the regions share a bus; cut it, and the region is down until it is back', async (s) => {
    const redis = await s.redis();
    const [here, there] = await Promise.all([s.region({ name: 'here', redis: redis.url }), s.region({ name: 'there', redis: redis.url })]);
    await waitFor('the bus', async () => (await here.stats()).cluster.length > 0 && (await there.stats()).cluster.length > 0);
    const gateway = await s.gateway(pool(here, there));
    const well = await verdicts(gateway, { here: 'up', there: 'up' });
    assert.equal(well.here.cause ?? '', '');
    await redis.kill();
    await verdicts(gateway, { here: /canary: no broadcast from peer/, there: 'up' });
    await redis.begin();
    await verdicts(gateway, { here: 'up' });
    await waitFor('good-byes', async () => (await there.stats()).open <= 4 && (await here.stats()).open <= 4);
  });

  scene('a peer that is killed, hangs or refuses is no word about the region itself', async (s) => {
    const redis = await s.redis();
    const [here, there] = await Promise.all([s.region({ name: 'here', redis: redis.url }), s.region({ name: 'there', redis: redis.url })]);
    const gateway = await s.gateway(pool(here, there));
    await verdicts(gateway, { here: 'up', there: 'up' });
    const isUnjudged = async () => /canary: the peer cannot be asked/.test((await standings(gateway)).here.cause);

    there.freeze();
    await verdicts(gateway, { there: 'down' });
    await waitFor('the heartbeat alone', isUnjudged);
    there.thaw();
    await verdicts(gateway, { there: 'up' });
    await waitFor('the canary again', async () => !(await isUnjudged()));

    await there.knobs({ upgrade_status: 503 });
    await verdicts(gateway, { there: 'down' });
    await waitFor('the heartbeat alone', isUnjudged);
    await there.clearKnobs();
    await verdicts(gateway, { there: 'up' });

    await there.kill();
    const now = await verdicts(gateway, { here: 'up', there: 'down' });
    assert.ok(now.here.latency_us < 200000, 'the wait for the peer is not its latency');
    await waitFor('the heartbeat alone', isUnjudged);
    await probes(gateway, 8);
    assert.equal((await standings(gateway)).here.state, 'up');
    assert.equal(gateway.process.lines.some((line) => /server changed.*server=p\/here.*new=down/.test(line)), false);

    await here.kill();
    await verdicts(gateway, { here: 'down' });
  });

  scene('a region that does not let the canary join is down', async (s) => {
    const [here, there] = await Promise.all([s.region({ name: 'here', knobs: { join_error: 'Unauthorized' } }), s.region({ name: 'there' })]);
    const gateway = await s.gateway(pool(here, there));
    await verdicts(gateway, { here: /protocol: canary: join refused/, there: 'up' });
  });
});
