// The story of this stage: a session through the gateway, its region dies, the next session goes to a healthy one, and the
// health endpoint tells the truth all the while.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const WebSocket = require('ws');
const phoenix = require('phoenix');
const { RealtimeClient } = require('@supabase/realtime-js');
const { Client, get, scene, waitFor, within } = require('./lib');

const CHECK = { type: 'websocket', path: '/socket/websocket?vsn=2.0.0', speak: 'ping', interval: '200ms', timeout: '150ms', rise: 2, fall: 2 };
const TIERS = ['primary', 'backup', 'emergency'];

// Regions in as many tiers, and a gateway in front of them.
async function stage(s, names = ['us-a', 'eu-a', 'static']) {
  const regions = await Promise.all(names.map((name) => s.region({ name })));
  const gateway = await s.gateway({
    pools: {
      realtime: {
        check: CHECK,
        servers: regions.map((region, i) => ({ name: region.name, url: region.url, tier: TIERS[i] })),
      },
    },
    routes: [{ path: '/', pool: 'realtime' }],
  });
  await verdicts(gateway, Object.fromEntries(names.map((name) => [name, 'up'])));
  return { gateway, regions };
}

async function states(gateway) {
  const { pools } = await gateway.status();
  return Object.fromEntries(pools[0].servers.map((server) => [server.name, server.state]));
}

function verdicts(gateway, wanted) {
  return waitFor(`verdicts ${JSON.stringify(wanted)}`, async () => {
    const now = await states(gateway);
    return Object.entries(wanted).every(([name, state]) => now[name] === state);
  });
}

// Which region answers a new session.
async function where(s, gateway) {
  const c = await Client.open(s, `${gateway.url}/socket/websocket?vsn=2.0.0`);
  const [, , , , reply] = JSON.parse(await c.ask(JSON.stringify(['1', '1', 'room:x', 'phx_join', {}])));
  await c.close();
  return reply.response.region;
}

describe('failover', { concurrency: true }, () => {
  scene('kill -9: the session ends with 1012 at once, the next one is in the backup region, and so on down the tiers', async (s) => {
    const { gateway, regions: [us, eu] } = await stage(s);
    assert.equal((await gateway.health()).json.status, 'ok');
    const c = await Client.open(s, `${gateway.url}/echo`);
    assert.equal(await c.ask('hello'), 'hello');
    await us.kill();
    assert.equal((await c.closing(1000)).code, 1012);
    assert.equal(await where(s, gateway), 'eu-a'); // long before the checker knows
    await verdicts(gateway, { 'us-a': 'down', 'eu-a': 'up' });
    const health = await gateway.health();
    assert.equal(health.status, 200);
    assert.equal(health.json.status, 'degraded');
    assert.match(health.json.reasons.join(), /us-a is down/);
    await eu.kill();
    assert.equal(await where(s, gateway), 'static');
    assert.equal((await Client.open(s, `${gateway.url}/echo`)).headers['x-region'], 'static');
  });

  scene('with nobody left, health says down and a client gets 503 with Retry-After', async (s) => {
    const { gateway, regions } = await stage(s, ['us-a', 'eu-a']);
    for (const region of regions) await region.kill();
    await verdicts(gateway, { 'us-a': 'down', 'eu-a': 'down' });
    const health = await gateway.health();
    assert.equal(health.status, 503);
    assert.equal(health.json.status, 'down');
    const c = await Client.open(s, `${gateway.url}/echo`, { mayFail: true });
    assert.equal(c.refused.status, 503);
    assert.ok(Number(c.refused.headers['retry-after']) > 0);
    const back = await s.region({ name: 'us-a', port: regions[0].port });
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), back.name);
    assert.equal((await gateway.health()).status, 200);
  });

  scene('a frozen region, and one that never answers a ping, are as dead as a killed one', async (s) => {
    const { gateway, regions: [us, eu] } = await stage(s);
    us.freeze();
    await verdicts(gateway, { 'us-a': 'down' });
    assert.equal(await where(s, gateway), 'eu-a');
    us.thaw();
    await verdicts(gateway, { 'us-a': 'up' });
    assert.equal(await where(s, gateway), 'us-a');
    await us.knobs({ hang: 'ping' });
    await verdicts(gateway, { 'us-a': 'down' });
    await us.clearKnobs();
    await us.knobs({ upgrade_status: 503 });
    assert.equal(await where(s, gateway), 'eu-a');
    await us.clearKnobs();
    await verdicts(gateway, { 'us-a': 'up' });
    await eu.stop();
    assert.equal(await where(s, gateway), 'us-a');
  });

  scene('phoenix and realtime-js talk to each other through the gateway', async (s) => {
    const { gateway } = await stage(s, ['us-a']);
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
    const config = (region) => ({
      pools: { p: { check: CHECK, servers: [{ name: region.name, url: region.url }] } },
      routes: [{ path: '/', pool: 'p' }],
    });
    const gateway = await s.gateway(config(us));
    const c = await Client.open(s, `${gateway.url}/echo`);
    await assert.rejects(gateway.reload({ ...config(us), routes: [{ path: '/', pool: 'nobody' }] }), /nobody|reload/);
    assert.equal(await c.ask('still here'), 'still here');
    assert.equal((await get(gateway.adminPort, '/readyz')).status, 200);
    await gateway.reload({ ...config(us), pools: { p: { check: CHECK, servers: [us, eu].map((r) => ({ name: r.name, url: r.url, drain: r === us })) } } });
    await waitFor('a new session in the new region', async () => (await where(s, gateway)) === 'eu-a');
    assert.equal(await c.ask('and now'), 'and now');
  });
});
