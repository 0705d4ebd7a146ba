// The story of this stage: a session through the gateway, its region dies, the next session goes to a healthy one, and the
// health endpoint tells the truth all the while.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const WebSocket = require('ws');
const phoenix = require('phoenix');
const { RealtimeClient } = require('@supabase/realtime-js');
const { get, onePool, scene, servers, standings, verdicts, visit, waitFor, where, within } = require('./lib');

const CHECK = { type: 'websocket', path: '/socket/websocket?vsn=2.0.0', speak: 'ping', interval: '300ms', timeout: '300ms', rise: 2, fall: 2 };
const TIERS = ['primary', 'backup', 'emergency'];

// Regions in as many tiers, and a gateway in front of them.
async function stage(s, { names = ['us-a', 'eu-a', 'static'], check = CHECK, ...pool } = {}) {
  const regions = await Promise.all(names.map((name) => s.region({ name })));
  const tiers = TIERS.map((tier) => ({ tier }));
  const gateway = await s.gateway(onePool({ check, servers: servers(regions, ...tiers), ...pool }));
  await verdicts(gateway, Object.fromEntries(names.map((name) => [name, 'up'])));
  return { gateway, regions };
}

function restarted(s, region) {
  return s.region({ name: region.name, port: region.port });
}

describe('failover', { concurrency: true }, () => {
  scene('kill -9: the session ends with 1012 at once, the next one is in the backup region, and comes home when it is back', async (s) => {
    const { gateway, regions: [us] } = await stage(s);
    assert.deepEqual((await gateway.health()).json.reasons, []);
    const c = await visit(s, gateway);
    assert.equal(await c.ask('hello'), 'hello');
    await us.kill();
    assert.equal((await c.closing(1000)).code, 1012);
    const stranded = await visit(s, gateway); // long before the checker knows
    assert.equal(stranded.region, 'eu-a');
    await verdicts(gateway, { 'us-a': 'down', 'eu-a': 'up' });
    const health = await gateway.health();
    assert.equal(health.status, 200);
    assert.equal(health.json.status, 'degraded');
    assert.match(health.json.reasons.join(), /us-a is down: unreachable.*pool p is served by its backup tier/);
    await restarted(s, us);
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), 'us-a');
    assert.equal((await gateway.health()).json.status, 'ok');
    assert.equal(await stranded.ask('still there'), 'still there');
  });

  scene('tier after tier is used up, and taken back in order', async (s) => {
    const { gateway, regions: [us, eu] } = await stage(s);
    await Promise.all([us.kill(), eu.kill()]);
    assert.equal(await where(s, gateway), 'static');
    await verdicts(gateway, { 'us-a': 'down', 'eu-a': 'down' });
    assert.match((await gateway.health()).json.reasons.join(), /served by its emergency tier/);
    await restarted(s, eu);
    await verdicts(gateway, { 'eu-a': 'up' });
    assert.equal(await where(s, gateway), 'eu-a');
    await restarted(s, us);
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), 'us-a');
  });

  scene('with nobody left, health says down and a client gets 503 with Retry-After', async (s) => {
    const { gateway, regions } = await stage(s, { names: ['us-a', 'eu-a'] });
    await Promise.all(regions.map((region) => region.kill()));
    await verdicts(gateway, { 'us-a': 'down', 'eu-a': 'down' });
    const health = await gateway.health();
    assert.equal(health.status, 503);
    assert.equal(health.json.status, 'down');
    assert.match(health.json.reasons.join(), /route all cannot be served/);
    const c = await visit(s, gateway);
    assert.equal(c.refused.status, 503);
    assert.ok(Number(c.refused.headers['retry-after']) > 0);
    await restarted(s, regions[0]);
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), 'us-a');
    assert.equal((await gateway.health()).status, 200);
  });

  scene('fail_open: a pool whose servers are all called down is still tried', async (s) => {
    const regions = await Promise.all(['us-a', 'eu-a'].map((name) => s.region({ name })));
    const pool = { check: { ...CHECK, type: 'http', path: '/nowhere' }, servers: servers(regions) };
    const gateway = await s.gateway(onePool(pool));
    await verdicts(gateway, { 'us-a': 'down', 'eu-a': 'down' });
    assert.equal(await where(s, gateway), 503);
    await gateway.reload(onePool({ ...pool, fail_open: true }));
    assert.match(await where(s, gateway), /us-a|eu-a/);
    const health = await gateway.health();
    assert.equal(health.status, 200);
    assert.match(health.json.reasons.join(), /pool p has no healthy server and fails open/);
    await regions[0].kill();
    for (let i = 0; i < 3; i++) assert.equal(await where(s, gateway), 'eu-a');
  });

  scene('a frozen region is as dead as a killed one: down, its sessions end with 1012, others go elsewhere', async (s) => {
    const { gateway, regions: [us] } = await stage(s);
    const sessions = await Promise.all([1, 2, 3].map(() => visit(s, gateway)));
    us.freeze();
    const { 'us-a': standing } = await verdicts(gateway, { 'us-a': 'down' });
    assert.match(standing.cause, /timeout: waiting for/);
    for (const c of sessions) assert.deepEqual(await c.closing(), { code: 1012, reason: 'upstream down' });
    assert.equal(await where(s, gateway), 'eu-a');
    us.thaw();
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), 'us-a');
  });

  scene('a region that upgrades but never answers a ping is dead, too', async (s) => {
    const { gateway, regions: [us] } = await stage(s);
    await us.knobs({ hang: 'ping' });
    const { 'us-a': standing } = await verdicts(gateway, { 'us-a': 'down' });
    assert.match(standing.cause, /waiting for pong/);
    assert.equal(await where(s, gateway), 'eu-a');
    await us.clearKnobs();
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), 'us-a');
  });

  for (const fall of [1, 3])
    scene(`what one client ran into is checked at once, however seldom checks are (fall ${fall})`, async (s) => {
      const { gateway, regions: [us] } = await stage(s, { check: { type: 'tcp', interval: '30s', timeout: '500ms', fall } });
      await us.kill();
      assert.equal(await where(s, gateway), 'eu-a');
      await verdicts(gateway, { 'us-a': 'down' }, 1500);
    });

  scene('a session that breaks is reason enough to look, too', async (s) => {
    const { gateway, regions: [us] } = await stage(s, { check: { type: 'tcp', interval: '30s', timeout: '500ms', fall: 2 } });
    const c = await visit(s, gateway);
    await us.kill();
    assert.equal((await c.closing(1000)).code, 1012);
    await verdicts(gateway, { 'us-a': 'down' }, 1500);
    assert.equal((await standings(gateway))['us-a'].failures, 1);
  });

  scene('phoenix and realtime-js talk to each other through the gateway', async (s) => {
    const { gateway } = await stage(s, { names: ['us-a'] });
    const socket = new phoenix.Socket(`${gateway.url}/socket`, { transport: WebSocket });
    socket.connect();
    s.atEnd(() => new Promise((resolve) => socket.disconnect(resolve)));
    const room = socket.channel('lobby', {});
    await within(5000, 'the join', new Promise((resolve) => room.join().receive('ok', resolve)));
    const client = new RealtimeClient(`${gateway.url}/socket`, { params: { apikey: 'none' }, transport: WebSocket });
    s.atEnd(() => client.disconnect());
    const heard = [];
    const channel = client.channel('lobby', { config: { broadcast: { self: true, ack: true } } });
    channel.on('broadcast', { event: 'cursor' }, (message) => heard.push(message.payload));
    await within(5000, 'the subscription', new Promise((resolve) => channel.subscribe((status) => status === 'SUBSCRIBED' && resolve())));
    assert.equal(await channel.send({ type: 'broadcast', event: 'cursor', payload: { x: 1 } }), 'ok');
    await waitFor('the broadcast', () => heard.length === 1);
    assert.deepEqual(heard, [{ x: 1 }]);
  });

  scene('a bad configuration is refused and nobody notices; a good one moves new sessions only', async (s) => {
    const [us, eu] = await Promise.all([s.region({ name: 'us-a' }), s.region({ name: 'eu-a' })]);
    const good = onePool({ check: CHECK, servers: servers([us]) });
    const gateway = await s.gateway(good);
    const c = await visit(s, gateway);
    await assert.rejects(gateway.reload({ ...good, routes: [{ path: '/', pool: 'nobody' }] }), /nobody|reload/);
    assert.equal(await c.ask('still here'), 'still here');
    assert.equal((await get(gateway.adminPort, '/readyz')).status, 200);
    await gateway.reload(onePool({ check: CHECK, servers: servers([us, eu], { drain: true }) }));
    await waitFor('a new session in the new region', async () => (await where(s, gateway)) === 'eu-a');
    assert.equal(await c.ask('and now'), 'and now');
  });
});
