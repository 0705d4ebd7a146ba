// A reload is not noticed by whom it does not concern: processes, connections and counters go on, and what a configuration removed
// is let go of at a set pace. A bad configuration changes nothing at all.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Client, childrenOf, descriptorCount, get, isSanitized, ownMemory, scene, waitFor } = require('./lib');

const RELOADS = 200;
const WARM_RELOADS = 120; // by then every path has been taken, and buffers are as large as they get
const CLIENTS = 1000;
const OPENING_AT_A_TIME = 50;
const GROWTH_BYTES = 256 << 10;

const server = (region, options = {}) => ({ name: region.name, url: region.url, ...options });

async function openMany(s, count, url, options) {
  const clients = [];
  while (clients.length < count) {
    const some = Math.min(OPENING_AT_A_TIME, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: some }, () => Client.open(s, url, options)))));
  }
  return clients;
}

async function assertEchoes(clients, text, ms = 10000) {
  const answers = await Promise.all(clients.map((c, i) => c.ask(`${text} ${i}`, ms)));
  answers.forEach((answer, i) => assert.equal(answer, `${text} ${i}`));
}

// {pid: {memory, descriptors}} of the supervisor and all its children.
function usage(gateway) {
  const pids = [gateway.pid, ...childrenOf(gateway.pid)].sort();
  return Object.fromEntries(pids.map((pid) => [pid, { memory: ownMemory(pid), descriptors: descriptorCount(pid) }]));
}

function assertFlat(before, after) {
  assert.deepEqual(Object.keys(after), Object.keys(before), 'the same processes');
  for (const [pid, then] of Object.entries(before)) {
    const now = after[pid];
    assert.ok(isSanitized || now.memory - then.memory <= GROWTH_BYTES, `process ${pid} grew from ${then.memory} to ${now.memory} bytes`);
    assert.ok(now.descriptors - then.descriptors <= 2, `process ${pid} had ${then.descriptors} descriptors, now ${now.descriptors}`);
  }
}

function assertCountersCarryOn(before, after) {
  const now = after.counters();
  for (const [key, value] of before.counters()) {
    if (!key.includes('server="spare"')) assert.ok(now.get(key) >= value, `${key} was ${value} and is ${now.get(key)}`);
  }
}

// The times, in ms after `since`, at which the clients were closed.
function closeTimes(clients, since) {
  return Promise.all(clients.map(async (c) => {
    const { code } = await c.closing(10000);
    assert.equal(code, 1012);
    return Date.now() - since;
  }));
}

function assertSpread(times, timeMs) {
  assert.ok(Math.min(...times) < timeMs / 2, `the first close came after ${Math.min(...times)} ms of ${timeMs}`);
  assert.ok(Math.max(...times) > timeMs / 2, `the last close came after ${Math.max(...times)} ms of ${timeMs} already`);
}

describe('reload', { concurrency: 3 }, () => {
  scene(`${RELOADS} reloads under ${CLIENTS} open connections: none is dropped, processes and memory stay`, async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const config = (i) => ({
      workers: 2,
      log: { level: 'info' },
      pools: {
        used: { servers: [server(a), server(b), ...(i % 2 === 1 ? [{ name: 'spare', url: b.url }] : [])] },
        unused: { servers: [server(a)] },
      },
      routes: [{ path: '/', pool: 'used' }, { path: '/unrelated', pool: 'unused', websocket: { idle_timeout: `${60 + i}s` } }],
    });
    // A sanitizer keeps freed memory for a while; not for so long that it hides growth here.
    const gateway = await s.gateway(config(0), { env: { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=1` } });
    const clients = await openMany(s, CLIENTS, `${gateway.url}/echo`);
    await assertEchoes(clients, 'before');

    let before;
    let counters = await gateway.metrics();
    for (let i = 1; i <= RELOADS; i++) {
      const crossing = clients.filter((_, at) => at % RELOADS === i - 1);
      for (const c of crossing) c.send(`across ${i}`);
      await gateway.reload(config(i));
      for (const c of crossing) assert.equal(await c.message(), `across ${i}`);
      if (i % 20 === 0) {
        const later = await gateway.metrics();
        assertCountersCarryOn(counters, later);
        counters = later;
        if (i === WARM_RELOADS) before = usage(gateway);
      }
    }
    await assertEchoes(clients, 'after');
    assertFlat(before, usage(gateway));
    const metrics = await gateway.metrics();
    assertCountersCarryOn(counters, metrics);
    assert.equal(metrics.sum('ws_connections'), CLIENTS);
    assert.equal(metrics.sum('ws_opened_total'), CLIENTS);
    assert.equal(metrics.sum('ws_closed_total'), 0);
    assert.equal(metrics.sum('server_connections', { pool: 'used' }), CLIENTS);
    assert.equal(metrics.sum('config_reloads_total'), RELOADS);
    assert.equal(metrics.sum('process_restarts_total'), 0);
  });

  scene('round-robin goes on where it was', async (s) => {
    const regions = await Promise.all(['a', 'b', 'c'].map((name) => s.region({ name })));
    const config = (i) => ({
      pools: { p: { servers: regions.map((r) => server(r)) } },
      routes: [{ path: '/', pool: 'p' }, { path: '/unrelated', pool: 'p', websocket: { idle_timeout: `${60 + i}s` } }],
    });
    const gateway = await s.gateway(config(0));
    const seen = [];
    for (let i = 1; i <= 9; i++) {
      seen.push((await Client.open(s, `${gateway.url}/echo`)).headers['x-region']);
      await gateway.reload(config(i));
    }
    assert.equal(new Set(seen.slice(0, 3)).size, 3);
    assert.deepEqual(seen.slice(3), seen.slice(0, 6));
  });

  scene('a bad configuration is refused with all its mistakes, and the old one goes on', async (s) => {
    const region = await s.region({ name: 'a' });
    const config = { pools: { p: { servers: [server(region)] } }, routes: [{ path: '/', pool: 'p' }] };
    const gateway = await s.gateway(config);
    const c = await Client.open(s, `${gateway.url}/echo`);
    gateway.write(`
listen: [ { address: "127.0.0.1:${gateway.port}" } ]
pools: { p: { servers: [ { name: a, url: "${region.url}" } ], ballance: hash } }
routes: [ { path: /, pool: nobody } ]`);
    const refused = await gateway.ctl('reload');
    assert.equal(refused.code, 1);
    const mistakes = [/tidegate\.yaml:3:\d+: pools\.p\.ballance: unknown key/, /tidegate\.yaml:4:\d+: routes\[0\]\.pool: \\?"nobody/];
    for (const mistake of mistakes) {
      assert.match(refused.stderr, mistake);
      await gateway.process.line(mistake);
    }
    assert.equal(await c.ask('still here'), 'still here');
    assert.equal(await (await Client.open(s, `${gateway.url}/echo`)).ask('and you'), 'and you');
    let metrics = await gateway.metrics();
    assert.equal(metrics.sum('config_reloads_refused_total'), 1);
    assert.equal(metrics.sum('config_last_reload_successful'), 0);

    // Good to read, but not to be had: somebody else has the port.
    const taken = { address: `127.0.0.1:${region.port}` };
    await assert.rejects(gateway.reload({ ...config, listen: [{ address: `127.0.0.1:${gateway.port}` }, taken] }), /mistakes|refused/);
    await gateway.process.line(/cannot listen on 127\.0\.0\.1:\d+/);
    assert.equal(await c.ask('still here'), 'still here');

    gateway.write(config);
    assert.equal((await gateway.ctl('reload')).code, 0);
    metrics = await gateway.metrics();
    assert.equal(metrics.sum('config_last_reload_successful'), 1);
    assert.equal(await c.ask('and now'), 'and now');
  });

  scene('the clients of a removed route leave one after the other with 1012; nobody else does', async (s) => {
    const region = await s.region({ name: 'a' });
    const config = (hosts) => ({
      drain: { time: '2s' },
      pools: { p: { servers: [server(region)] } },
      routes: hosts.map((host) => ({ name: host, host, pool: 'p' })),
    });
    const gateway = await s.gateway(config(['stays.test', 'goes.test']));
    const on = (host) => ({ headers: { host } });
    const staying = await openMany(s, 60, `${gateway.url}/echo`, on('stays.test'));
    const going = await openMany(s, 20, `${gateway.url}/echo`, on('goes.test'));
    const start = Date.now();
    await gateway.reload(config(['stays.test']));
    assert.equal((await Client.open(s, `${gateway.url}/echo`, { ...on('goes.test'), mayFail: true })).refused.status, 404);
    assertSpread(await closeTimes(going, start), 2000);
    await gateway.process.line(/websocket closed.* route=goes\.test .*by=drain phase=open code=1012/);
    await assertEchoes(staying, 'still here');
    await waitFor('ws_closed_total to be 20', async () => (await gateway.metrics()).sum('ws_closed_total', { by: 'drain', code: 1012 }) === 20);
  });

  scene('the clients of a removed server leave likewise, and come back elsewhere', async (s) => {
    const [a, b] = await Promise.all([s.region({ name: 'a' }), s.region({ name: 'b' })]);
    const config = (...regions) => ({
      drain: { time: '2s' },
      pools: { p: { servers: regions.map((r) => server(r)) } },
      routes: [{ path: '/', pool: 'p' }],
    });
    const gateway = await s.gateway(config(a, b));
    const clients = await openMany(s, 40, `${gateway.url}/echo`);
    const going = clients.filter((c) => c.headers['x-region'] === 'a');
    const staying = clients.filter((c) => c.headers['x-region'] === 'b');
    assert.equal(going.length, 20);
    const start = Date.now();
    await gateway.reload(config(b));
    assert.equal((await Client.open(s, `${gateway.url}/echo`)).headers['x-region'], 'b');
    assertSpread(await closeTimes(going, start), 2000);
    await assertEchoes(staying, 'still here');
    await waitFor('the server to be let go of', async () => (await a.stats()).open === 0);
  });

  scene('a listener comes and goes; who came in through it stays', async (s) => {
    const region = await s.region({ name: 'a' });
    const second = await s.freePort();
    const config = (...ports) => ({
      listen: ports.map((port) => ({ address: `127.0.0.1:${port}` })),
      pools: { p: { servers: [server(region)] } },
      routes: [{ path: '/', pool: 'p' }],
    });
    const gateway = await s.gateway((g) => config(g.port));
    const { port } = gateway;
    await assert.rejects(get(second, '/'), /ECONNREFUSED/);
    await gateway.reload(config(port, second));
    const c = await Client.open(s, `ws://127.0.0.1:${second}/echo`);
    assert.equal(await c.ask('hello'), 'hello');
    await gateway.reload(config(port));
    await assert.rejects(get(second, '/'), /ECONNREFUSED/);
    assert.equal(await c.ask('still here'), 'still here');
    await gateway.reload(config(second)); // and even the first one may go
    await assert.rejects(get(port, '/'), /ECONNREFUSED/);
    assert.equal(await (await Client.open(s, `ws://127.0.0.1:${second}/echo`)).ask('hello'), 'hello');
    assert.equal(await c.ask('still here'), 'still here');
  });

  scene('the number of workers grows and shrinks', async (s) => {
    const region = await s.region({ name: 'a' });
    const config = (workers) => ({
      workers,
      drain: { time: '1s' },
      pools: { p: { servers: [server(region)] } },
      routes: [{ path: '/', pool: 'p' }],
    });
    const gateway = await s.gateway(config(1));
    const [first] = await openMany(s, 1, `${gateway.url}/echo`);
    const { pid } = (await gateway.processes())['worker-0'];
    await gateway.reload(config(3));
    await waitFor('three workers', async () => Object.keys(await gateway.processes()).filter((name) => name.startsWith('worker')).length === 3);
    const clients = await openMany(s, 60, `${gateway.url}/echo`);
    await assertEchoes([first, ...clients], 'with three');
    await gateway.reload(config(1));
    await waitFor('one worker', async () => Object.keys(await gateway.processes()).filter((name) => name.startsWith('worker')).length === 1);
    const left = clients.filter((c) => c.socket.readyState === c.socket.OPEN);
    const gone = clients.filter((c) => !left.includes(c));
    assert.ok(gone.length > 0 && left.length > 0, `${gone.length} of ${clients.length} were with the workers that left`);
    for (const c of gone) assert.equal((await c.closing()).code, 1001);
    await assertEchoes([first, ...left], 'with one');
    await assertEchoes(await openMany(s, 20, `${gateway.url}/echo`), 'new');
    assert.equal((await gateway.processes())['worker-0'].pid, pid);
    assert.equal((await gateway.metrics()).sum('ws_connections'), left.length + 21);
  });
});
