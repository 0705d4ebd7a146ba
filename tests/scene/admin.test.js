// What the gateway says about itself, over HTTP and to its operator's command line, while regions and processes come and go.
'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { describe } = require('node:test');
const path = require('node:path');
const { Client, get, request, scene, waitFor } = require('./lib');

const CHECK = { type: 'http', path: '/health', interval: '100ms', timeout: '80ms', rise: 1, fall: 2 };

const config = (primary, backup, extra = {}) => ({
  health: { path: '/_health' },
  pools: {
    realtime: {
      check: CHECK,
      servers: [
        { name: 'us-a', url: primary.url, region: 'us', tier: 'primary' },
        { name: 'eu-a', url: backup.url, region: 'eu', tier: 'backup' },
      ],
    },
  },
  routes: [{ name: 'all', path: '/', pool: 'realtime' }],
  ...extra,
});

async function twoRegions(s, extra) {
  const [primary, backup] = await Promise.all([s.region({ name: 'us-a' }), s.region({ name: 'eu-a' })]);
  const gateway = await s.gateway(config(primary, backup, extra));
  await waitFor('both regions to be up', async () => (await gateway.admin('/health')).pools[0].up === 2);
  return { primary, backup, gateway };
}

// Runs tidegatectl; resolves with {code, stdout, stderr}.
function ctl(...args) {
  return new Promise((resolve) => {
    execFile(path.join(process.env.TIDEGATE_BUILD, 'tidegatectl'), args, { timeout: 20000 }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, stdout, stderr });
    });
  });
}

// The metrics as a map from `name{labels}` to number; fails on what is not the text format.
async function metrics(gateway) {
  const answer = await get(gateway.adminPort, '/metrics');
  assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const values = new Map();
  for (const line of answer.text.trimEnd().split('\n')) {
    if (line.startsWith('# HELP ') || line.startsWith('# TYPE ')) continue;
    const [, series, value] = line.match(/^(tidegate_[a-z0-9_]+(?:\{[^}]*\})?) (-?[0-9.]+)$/) ?? assert.fail(`not a sample: ${line}`);
    assert.ok(!values.has(series), `twice: ${series}`);
    values.set(series, Number(value));
  }
  return values;
}

const US_A = '{pool="realtime",server="us-a",region="us",tier="primary"}';

describe('admin: pages', { concurrency: true }, () => {
  scene('every page answers, and only to GET and HEAD', async (s) => {
    const { gateway } = await twoRegions(s);
    for (const [page, type] of [
      ['/', 'text/plain'], ['/health', 'application/json'], ['/livez', 'application/json'], ['/readyz', 'application/json'],
      ['/metrics', 'text/plain'], ['/status', 'application/json'],
    ]) {
      const answer = await get(gateway.adminPort, page);
      assert.equal(answer.status, 200, page);
      assert.ok(answer.headers['content-type'].startsWith(type), page);
      assert.equal(answer.headers['cache-control'], 'no-store');
      const head = await request({ port: gateway.adminPort, path: page, method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(head.text, '');
      assert.equal((await request({ port: gateway.adminPort, path: page, method: 'POST', body: 'x' })).status, 405);
    }
    assert.equal((await get(gateway.adminPort, '/nothing')).status, 404);
  });

  scene('the status names every process, server and route', async (s) => {
    const { primary, gateway } = await twoRegions(s);
    const status = await gateway.status();
    assert.equal(status.status, 'ok');
    assert.equal(status.node.name, 'scene');
    assert.equal(status.config.generation, 1);
    assert.equal(status.config.path, gateway.file);
    assert.deepEqual(status.processes.map((p) => `${p.role} ${p.state}`).sort(),
      ['admin ready', 'checker ready', 'supervisor ready', 'worker ready']);
    for (const p of status.processes) assert.ok(p.rss_bytes > 0, p.role);
    const [us, eu] = status.pools[0].servers;
    assert.equal(us.url, primary.url);
    assert.equal(us.state, 'up');
    assert.ok(us.latency_us > 0);
    assert.equal(eu.tier, 'backup');
    assert.equal(status.routes[0].name, 'all');
    assert.ok(status.checker.heartbeat_age_ms < 5000);
  });

  scene('open WebSockets and how they ended are counted', async (s) => {
    const { gateway } = await twoRegions(s);
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await Client.open(s, `${gateway.url}/socket/websocket?vsn=2.0.0`));
    await waitFor('three open', async () => (await gateway.status()).routes[0].ws_connections === 3);
    assert.equal((await gateway.status()).pools[0].servers[0].connections, 3);
    let m = await metrics(gateway);
    assert.equal(m.get('tidegate_ws_connections{route="all"}'), 3);
    assert.equal(m.get(`tidegate_server_connections${US_A}`), 3);
    for (const c of clients) await c.close(4001, 'enough');
    await waitFor('none open', async () => (await gateway.status()).routes[0].ws_connections === 0);
    m = await metrics(gateway);
    assert.equal(m.get('tidegate_ws_opened_total{route="all"}'), 3);
    assert.equal(m.get('tidegate_ws_closed_total{by="client",code="4xxx"}'), 3);
    assert.equal(m.get(`tidegate_server_connections${US_A}`), 0);
  });
});

describe('admin: health', { concurrency: true }, () => {
  scene('follows the regions down and up again, inside and outside', async (s) => {
    const { primary, backup, gateway } = await twoRegions(s);
    const health = (status) => waitFor(`health ${status}`, async () => {
      const inside = await gateway.health();
      return inside.json.status === status && inside;
    });
    assert.equal((await health('ok')).json.routes[0].tier, 'primary');

    await primary.kill();
    const degraded = await health('degraded');
    assert.equal(degraded.status, 200);
    assert.equal(degraded.json.routes[0].tier, 'backup');
    assert.ok(degraded.json.reasons.some((r) => r.startsWith('server realtime/us-a is down')), degraded.text);
    let m = await metrics(gateway);
    assert.equal(m.get(`tidegate_server_up${US_A}`), 0);
    assert.equal(m.get('tidegate_pool_tier{pool="realtime",tier="backup"}'), 1);

    await backup.kill();
    const down = await health('down');
    assert.equal(down.status, 503);
    assert.deepEqual(down.json.routes[0], { route: 'all', pool: 'realtime', status: 'down', tier: null });
    const outside = await get(gateway.port, '/_health');
    assert.equal(outside.status, 503);
    assert.equal(outside.json.status, 'down');
    assert.equal((await get(gateway.adminPort, '/readyz')).status, 200); // that is about this gateway alone
    assert.equal((await get(gateway.adminPort, '/livez')).status, 200);

    await s.region({ name: 'us-a', port: primary.port });
    await waitFor('the primary to serve', async () => (await gateway.health()).json.routes[0].tier === 'primary');
    assert.equal((await get(gateway.port, '/_health')).status, 200);
    m = await metrics(gateway);
    assert.equal(m.get(`tidegate_server_state{pool="realtime",server="us-a",region="us",tier="primary",state="up"}`), 1);
  });

  scene('the death of the admin process is nobody else\'s', async (s) => {
    const { gateway } = await twoRegions(s);
    const client = await Client.open(s, `${gateway.url}/socket/websocket?vsn=2.0.0`);
    const before = (await gateway.status()).processes;
    process.kill(before.find((p) => p.role === 'admin').pid, 'SIGKILL');
    const after = await waitFor('another admin process', async () => {
      const { processes } = await gateway.status();
      const admin = processes.find((p) => p.role === 'admin');
      return admin.restarts === 1 && admin.state === 'ready' && processes;
    }, 10000);
    for (const role of ['supervisor', 'worker', 'checker'])
      assert.equal(after.find((p) => p.role === role).pid, before.find((p) => p.role === role).pid, role);
    assert.deepEqual(JSON.parse(await client.ask('["1","1","phoenix","heartbeat",{}]')).slice(1, 4), ['1', 'phoenix', 'phx_reply']);
    assert.equal((await metrics(gateway)).get('tidegate_process_restarts_total{role="admin",index="0"}'), 1);
  });
});

describe('tidegatectl', { concurrency: true }, () => {
  scene('shows the status', async (s) => {
    const { gateway } = await twoRegions(s);
    const table = await ctl('-s', gateway.control, 'status');
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /^scene: Tidegate \S+, ok, up /);
    assert.match(table.stdout, /^worker 0 +\d+ +ready /m);
    assert.match(table.stdout, /^pool realtime: ok, served by primary, round-robin$/m);
    assert.match(table.stdout, /^ +us-a +primary +us +up +\S.* 0 +0 +0 /m);
    assert.match(table.stdout, /^all +realtime +ok +primary +0 +0 +0 +0$/m);
    const json = await ctl('--socket', gateway.control, '--json', '--timeout', '10s', 'status');
    assert.equal(json.code, 0, json.stderr);
    assert.equal(JSON.parse(json.stdout).pools[0].servers[1].name, 'eu-a');
  });

  scene('reloads, and says why a configuration is refused', async (s) => {
    const { primary, backup, gateway } = await twoRegions(s);
    gateway.write(config(primary, backup, { routes: [{ name: 'all', path: '/', pool: 'realtime' }, { name: 'more', path: '/more', pool: 'realtime' }] }));
    const good = await ctl('-s', gateway.control, 'reload');
    assert.equal(good.code, 0, good.stderr);
    let status = await gateway.status(); // done means visible
    assert.deepEqual(status.routes.map((r) => r.name).sort(), ['all', 'more']);
    const { generation } = status.config;

    gateway.write(config(primary, backup, { routes: [{ name: 'all', path: '/', pool: 'realtme' }] }));
    const bad = await ctl('-s', gateway.control, 'reload');
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /^tidegatectl: reload: /);
    assert.match(bad.stderr, /tidegate\.yaml:\d+:\d+: .*realtme/);
    status = await gateway.status();
    assert.equal(status.config.last_reload_ok, false);
    assert.equal(status.routes.length, 2); // the old one stays
    assert.ok(status.reasons.some((r) => r.startsWith('the last reload was refused')));
    assert.equal((await get(gateway.adminPort, '/readyz')).status, 200);

    gateway.write(config(primary, backup));
    assert.equal((await ctl('-s', gateway.control, 'reload')).code, 0);
    status = await gateway.status();
    assert.equal(status.status, 'ok');
    assert.ok(status.config.generation > generation);
    assert.equal((await ctl('-s', gateway.control, 'reopen-logs')).code, 0);
  });

  scene('a reload moves the admin address', async (s) => {
    const { primary, backup, gateway } = await twoRegions(s);
    const old = gateway.adminPort;
    gateway.adminPort = await s.freePort();
    gateway.write(config(primary, backup));
    assert.equal((await ctl('-s', gateway.control, 'reload')).code, 0);
    assert.equal((await gateway.health()).json.status, 'ok');
    await assert.rejects(get(old, '/health'), { code: 'ECONNREFUSED' });
  });

  scene('tells apart wrong usage and no gateway', async (s) => {
    assert.equal((await ctl()).code, 64);
    assert.equal((await ctl('frobnicate')).code, 64);
    assert.equal((await ctl('status', 'too', 'much')).code, 64);
    assert.equal((await ctl('--timeout', 'soon', 'status')).code, 64);
    assert.equal((await ctl('--no-such-option', 'status')).code, 64);
    const help = await ctl('help');
    assert.equal(help.code, 0);
    assert.match(help.stdout, /reopen-logs/);
    const absent = await ctl('-s', path.join(s.temp(), 'control.sock'), 'status');
    assert.equal(absent.code, 69);
    assert.match(absent.stderr, /no gateway answers there: not_found/);
  });
});
