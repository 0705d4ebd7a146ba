// What operators see of sessions that outlive their server: metrics, status, one line of the journal for all of them, and tidegatectl sessions.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const path = require('node:path');
const { Client, Metrics, journal, scene, waitFor } = require('./lib');

const CHECK = { type: 'websocket', path: '/socket/websocket?vsn=2.0.0', speak: 'ping', interval: '300ms', timeout: '250ms', rise: 1, fall: 2 };
const CLIENTS = 12; // ten are a mass failover

async function stage(s) {
  const [us, eu] = await Promise.all(['us-a', 'eu-a'].map((name) => s.region({ name })));
  const dir = fs.mkdtempSync(path.join(s.temp(), 'state-'));
  const gateway = await s.gateway({
    workers: 2,
    state_dir: dir,
    pools: { realtime: { check: CHECK, servers: [{ name: 'us-a', url: us.url, tier: 'primary' }, { name: 'eu-a', url: eu.url, tier: 'backup' }] } },
    routes: [
      { name: 'talk', path: '/socket/', pool: 'realtime', websocket: { protocol: 'phoenix', heartbeat: '100ms', dead_after: '5s' } },
      { name: 'rest', path: '/', pool: 'realtime' },
    ],
  });
  await waitFor('both regions to be up', async () => (await gateway.status()).pools[0].servers.every((server) => server.state === 'up'));
  return { us, eu, gateway, dir };
}

async function joined(s, gateway, topic) {
  const c = await Client.open(s, `${gateway.url}/socket/websocket?vsn=2.0.0`);
  c.send(JSON.stringify(['1', '1', topic, 'phx_join', {}]));
  await waitFor(`the join of ${topic}`, async () => JSON.parse(await c.message())[3] === 'phx_reply');
  return c;
}

const metrics = async (gateway) => new Metrics(await gateway.admin('/metrics'));
const listed = async (gateway, ...words) => JSON.parse((await gateway.ctl('--json', 'sessions', ...words)).stdout);
const connected = (gateway, server) => waitFor(`${CLIENTS} sessions at ${server}`, async () => (await listed(gateway, `realtime/${server}`)).fitting === CLIENTS);

describe('sessions: what operators see', { concurrency: true }, () => {
  scene('twelve sessions whose region is killed: numbers, one line in the journal, and the life of each', async (s) => {
    const { us, gateway, dir } = await stage(s);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => joined(s, gateway, `room:${i}`)));
    await connected(gateway, 'us-a');
    const labels = { route: 'talk', pool: 'realtime' };
    assert.equal((await metrics(gateway)).sum('sessions', { ...labels, state: 'connected' }), CLIENTS);

    await us.kill();
    await connected(gateway, 'eu-a');
    for (const c of clients) assert.equal(c.socket.readyState, c.socket.OPEN);

    const after = await waitFor('all to be connected again', async () => {
      const m = await metrics(gateway);
      return m.sum('sessions', { ...labels, state: 'connected' }) === CLIENTS && m;
    });
    assert.equal(after.sum('sessions', labels), CLIENTS);
    assert.equal(after.sum('session_failovers_total', labels), CLIENTS);
    assert.equal(after.sum('session_joins_replayed_total', labels), CLIENTS);
    assert.equal(after.sum('session_recovery_seconds_count', labels), CLIENTS);
    assert.equal(after.sum('session_recovery_seconds_bucket', { ...labels, le: '+Inf' }), CLIENTS);
    assert.equal(after.sum('sessions', { route: 'rest' }), 0);
    const { sessions } = (await gateway.status()).routes.find((r) => r.name === 'talk');
    assert.equal(sessions.protocol, 'phoenix');
    assert.equal(sessions.connected, CLIENTS);
    assert.equal(sessions.failovers, CLIENTS);
    assert.equal(sessions.recovery.count, CLIENTS);

    const lines = await waitFor('the line in the journal', () => {
      const about = journal(dir).filter((e) => e.kind === 'sessions');
      return about.length > 0 && about;
    });
    assert.equal(lines.length, 1);
    assert.equal(lines[0].subject, 'realtime/us-a');
    assert.equal(lines[0].from, `${CLIENTS} sessions`);
    assert.equal(lines[0].to, `${CLIENTS} moved`);
    assert.match(lines[0].cause, /: 12 of 12 sessions went on elsewhere within \d+\.\d\d s; messages of clients: 0 unknown, 0 dropped$/);
    assert.match((await gateway.ctl('events')).stdout, /sessions {4}realtime\/us-a lost its sessions \(.*12 of 12/);
  });

  scene('tidegatectl sessions finds them, and tells the life of one', async (s) => {
    const { us, gateway } = await stage(s);
    await joined(s, gateway, 'room:a');
    await joined(s, gateway, 'room:b');
    await waitFor('heartbeats', async () => (await listed(gateway)).sessions.every((each) => each.quality === 'excellent'));
    const { fitting, sessions, missing, cut } = await listed(gateway);
    assert.deepEqual([fitting, sessions.length, missing, cut], [2, 2, [], false]);
    for (const each of sessions) {
      assert.match(each.id, /^[01]-\d+$/);
      assert.equal(each.client, '127.0.0.1');
      assert.equal(each.route, 'talk');
      assert.equal(each.protocol, 'phoenix');
      assert.equal(each.state, 'connected');
      assert.equal(each.server, 'realtime/us-a');
      assert.equal(each.losses, 0);
    }
    const one = await listed(gateway, '--limit', '1');
    assert.deepEqual([one.fitting, one.sessions.length], [2, 1]);
    assert.equal((await listed(gateway, 'nowhere')).fitting, 0);

    await us.kill();
    await waitFor('the other region', async () => (await listed(gateway, 'realtime/eu-a')).fitting === 2);
    const { stdout: table } = await gateway.ctl('sessions');
    assert.match(table, /^ID +CLIENT +ROUTE +PROTOCOL +STATE +SERVER +AGE +BEAT +JOINED +HELD +LOSSES\n/);
    assert.match(table, /127\.0\.0\.1 +talk +phoenix +connected +realtime\/eu-a .* 1 +0 +1\n/);
    const { stdout: life } = await gateway.ctl('sessions', sessions[0].id);
    assert.match(life, new RegExp(`^id +${sessions[0].id}\n`));
    assert.match(life, /lost +realtime\/us-a\n[^]*realtime\/eu-a\n/);
    assert.match((await gateway.ctl('sessions', '7-99')).stdout, /^no such session\n$/);
    const refused = await gateway.ctl('sessions', 'two', 'words');
    assert.equal(refused.code, 64);
  });
});
